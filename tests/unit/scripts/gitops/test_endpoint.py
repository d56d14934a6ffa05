"""Endpoints that somebody changed by hand, or whose values are known after the deploy only."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from scgpt_databricks.infra.plan import ENDPOINT, Plan
from scgpt_databricks.scripts.gitops.endpoint import Split, Version, split
from scgpt_databricks.scripts.gitops.markdown import listing
from scgpt_databricks.scripts.gitops.plan_text import lines
from scgpt_databricks.scripts.gitops.versions import Built, built, comparison, weights_sentence
from scgpt_databricks.scripts.gitops.words import sentences
from tests.unit.local_workspace.stand_in_provider.recordings import FOLDER
from tests.unit.scripts.gitops.plans import Json, change, endpoint, gateway, plan


def serving(before: Any, after: Any, **more: Any) -> list[str]:
    return sentences(plan(change("model_serving", before, after, **more)))


def routed(*entities: tuple[str, str | None, int], **fields: Any) -> Json:
    """An endpoint of entities: name, version, percent."""
    found = endpoint({1: 100}, **fields)
    first = found["config"][0]["served_entities"][0]
    found["config"][0]["served_entities"] = [
        first | {"name": name, "entity_version": version} for name, version, _ in entities
    ]
    found["config"][0]["traffic_config"][0]["routes"] = [
        {"served_model_name": name, "traffic_percentage": share} for name, _, share in entities
    ]
    return found


DECLARED = routed(("genes-1", "1", 100))


@pytest.mark.parametrize(
    ("share", "fields"),
    [(0, ["served_model_name"]), (50, ["traffic_percentage", "served_model_name"])],
)
def test_one_version_under_two_names(share: int, fields: list[str]) -> None:
    """Added by hand: all requests are answered by the same version before and after."""
    found = routed(("genes-1", "1", 100 - share), ("mine", "1", share))
    moved = plan(change("model_serving", found, DECLARED))
    assert split(moved) is None
    changes = ["`served_entities`", *(f"`traffic_config.routes.{field}`" for field in fields)]
    assert sentences(moved) == [f"How requests are served changes: {listing(changes)}."]


@pytest.mark.parametrize("version", ["", None])
def test_what_has_no_version_goes_by_its_name(version: str | None) -> None:
    found = routed(("genes-1", "1", 60), ("features", version, 40))
    moved = plan(change("model_serving", found, DECLARED))
    parts = split(moved)
    assert parts == Split({1: 60, "features": 40}, {1: 100})
    assert sentences(moved) == [
        (
            "Requests are answered by **version 1**, before by **version 1** (60 %) and "
            "**`features`** (40 %)."
        )
    ]
    client: Any = None  # is not asked
    versions: dict[Version, Built] = {
        1: Built("a" * 64),
        "features": built(client, "m", "features"),
    }
    assert comparison(parts, versions).splitlines()[:3] == [
        "|  | version 1 | `features` |",
        "| --- | --- | --- |",
        "| requests now | 60 % | 40 % |",
    ]
    assert weights_sentence(parts, versions) is None


def test_a_version_without_requests_comes_and_goes() -> None:
    both = endpoint({1: 100, 2: 0})
    assert serving(DECLARED, both) == ["Made ready, but takes no requests: **version 2**."]
    assert serving(both, DECLARED) == ["No longer ready, but took no requests: **version 2**."]


def test_an_endpoint_of_whose_routes_nothing_is_known_yet() -> None:
    """As it is planned where the configuration says nothing of routes and names."""
    made = copy.deepcopy(DECLARED)
    made["config"][0]["served_entities"].append({"entity_version": "1", "workload_size": "Small"})
    del made["config"][0]["traffic_config"], made["config"][0]["served_entities"][0]["name"]
    later = [{"name": True}, {"name": True, "workload_type": True}]
    unknown = {"config": [{"served_entities": later, "traffic_config": True}], "id": True}
    plans = plan(change("model_serving", None, made, after_unknown=unknown))
    assert split(plans) == Split({}, {1: 100})
    assert sentences(plans)[:2] == [
        "The endpoint `scgpt-serving` is created.",
        "It answers with **version 1**.",
    ]
    made["config"][0]["served_entities"][1]["entity_version"] = "2"
    assert "It answers with **version 1** and **version 2**." in sentences(plans)


def test_an_endpoint_without_entities() -> None:
    bare = {"name": "scgpt-serving", "config": [], "ai_gateway": []}
    assert serving(None, bare) == ["The endpoint `scgpt-serving` is created."]
    assert serving(bare, DECLARED)[0] == "It answers with **version 1**."
    assert "`served_entities`" in serving(DECLARED, bare)[0]


def test_environment_variables_by_their_names() -> None:
    before = endpoint({1: 100}, environment_vars={"OMP_NUM_THREADS": "4", "KEY": "hunter2"})
    after = endpoint({1: 100}, environment_vars={"OMP_NUM_THREADS": "1", "KEY": "hunter2"})
    assert serving(before, after) == [
        "The endpoint is deployed anew: `environment_vars.OMP_NUM_THREADS` of `genes-1` changes."
    ]


def test_another_model_with_the_same_version() -> None:
    before, after = (endpoint({1: 100}, entity_name=name) for name in ("a.b.c", "a.b.d"))
    assert serving(before, after) == [
        "The endpoint is deployed anew: `entity_name` of `genes-1` changes."
    ]


def test_the_machine_of_any_entity() -> None:
    before = endpoint({1: 50, 2: 50})
    after = copy.deepcopy(before)
    after["config"][0]["served_entities"][1] |= {
        "workload_type": "GPU_LARGE", "scale_to_zero_enabled": False,
    }  # fmt: skip
    assert serving(before, after) == [
        "`genes-2`: The machine changes: `GPU_SMALL -> GPU_LARGE`.",
        "`genes-2`: It stays on without requests, and costs as much.",
    ]
    assert "`genes-2`: It runs on `GPU_LARGE`, size `Small`." in serving(DECLARED, after)


def test_a_variable_that_comes_with_a_new_version() -> None:
    after = endpoint({2: 100}, environment_vars={"A": "1"})
    assert serving(DECLARED, after)[2:] == [
        "The endpoint is deployed anew: `environment_vars.A` of `genes-2` changes."
    ]


def test_what_else_a_gateway_does() -> None:
    def guarded(on: bool, words: list[str]) -> Json:
        more = {
            "usage_tracking_config": [{"enabled": on}],
            "guardrails": [{"input": [{"invalid_keywords": words}]}],
        }
        return endpoint({1: 100}, gateway=gateway({"user": 600}) | more)

    assert serving(guarded(True, ["a"]), guarded(False, ["b", "c"])) == [
        (
            "The gateway changes: `guardrails.input.invalid_keywords` and "
            "`usage_tracking_config.enabled`."
        )
    ]
    # Values that the workspace fills in are not counted.
    assert serving(guarded(False, []), endpoint({1: 100}, gateway=gateway({"user": 600}))) == [
        "The endpoint changes in what only the plan itself shows."
    ]


def test_a_limit_of_tokens() -> None:
    tokens = {"key": "user", "calls": 0, "tokens": 1000}
    hand = endpoint({1: 100}, gateway=gateway() | {"rate_limits": [tokens]})
    after = endpoint({1: 100}, gateway=gateway({"user": 600}))
    assert serving(hand, after) == ["Limit for each user: 600 requests a minute (was 1000 tokens)."]
    both = endpoint(
        {1: 100}, gateway=gateway() | {"rate_limits": [tokens, {"key": "user", "calls": 1}]}
    )
    assert serving(after, both) == [
        "Limit for each user: 1 request and 1000 tokens a minute (was 600 requests)."
    ]


def test_fields_of_the_endpoint_itself() -> None:
    before = DECLARED | {"rate_limits": [{"key": "user", "calls": 1}], "description": "old"}
    assert serving(before, DECLARED | {"description": "new"}) == [
        "The endpoint itself changes: `rate_limits`.",
        "Nothing that a request notices: `description` changes.",
    ]


def test_who_is_known_after_the_deploy() -> None:
    unknown = {"access_control": [{"service_principal_name": True}], "serving_endpoint_id": True}
    access = {"access_control": [{"permission_level": "CAN_VIEW"}]}
    grant = {"schema": "a.b", "privileges": ["USE_SCHEMA"]}
    entries = [
        change("permissions", None, access, after_unknown=unknown),
        change("grant", None, grant, after_unknown={"principal": True}),
    ]
    assert sentences(plan(*entries)) == [
        "`somebody who is known after the deploy` may see the endpoint (`CAN_VIEW`).",
        "`somebody who is known after the deploy` gets `USE_SCHEMA` on the schema `a.b`.",
    ]


RECORDED = sorted(FOLDER.glob("*.json"))


@pytest.mark.skipif(not RECORDED, reason=f"no recorded plans in {FOLDER} (SCGPT_PLAN_RECORDINGS)")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_real_provider(path: Any) -> None:
    """Whatever is planned can be told, and no update of an endpoint goes without a word."""
    recorded = Plan.of({"format_version": "1.2", **json.loads(path.read_text())["plan"]})
    split([recorded])
    for planned in recorded.changes:
        assert list(lines(planned))
        said = sentences(plan(planned))
        if planned.type == ENDPOINT:
            assert said
        assert not any("None" in sentence for sentence in said)
