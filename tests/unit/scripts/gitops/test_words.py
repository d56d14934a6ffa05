from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.scripts.gitops.endpoint import Split, split
from scgpt_databricks.scripts.gitops.words import sentences
from tests.unit.scripts.gitops.plans import change, endpoint, gateway, plan


def serving(before: Any, after: Any, **more: Any) -> list[str]:
    return sentences(plan(change("model_serving", before, after, **more)))


def test_nothing() -> None:
    same = change("schema", {"name": "s"}, {"name": "s"}, actions=["no-op"])
    assert sentences(plan(same)) == []


def test_the_first_release() -> None:
    assert serving(None, endpoint({1: 100}, gateway=gateway({"user": 600}))) == [
        "The endpoint `scgpt-serving` is created.",
        "It answers with **version 1**.",
        "It runs on `GPU_SMALL`, size `Small`.",
        (
            "After half an hour without requests it is switched off; the next request waits for "
            "minutes."
        ),
        "Limit for each user: 600 requests a minute (there was none).",
        "Requests and answers are logged to `dev.scgpt.log_payload`.",
    ]


def test_a_new_version() -> None:
    assert serving(endpoint({1: 100}), endpoint({2: 100})) == [
        "Requests are answered by **version 2**, before by **version 1**.",
        "The old ones answer until the new one is ready.",
    ]


def test_a_canary_and_its_end() -> None:
    both = {1: 95, 2: 5}
    assert serving(endpoint({1: 100}), endpoint(both))[0] == (
        "Requests are answered by **version 1** (95 %) and **version 2** (5 %), before by "
        "**version 1**."
    )
    assert serving(endpoint(both), endpoint({1: 0, 2: 100})) == [
        (
            "Requests are answered by **version 2**, before by **version 1** (95 %) and "
            "**version 2** (5 %)."
        )
    ]


def test_a_bigger_machine_that_stays_on() -> None:
    bigger = endpoint({1: 100}, workload_type="GPU_MEDIUM", scale_to_zero_enabled=False)
    assert serving(endpoint({1: 100}), bigger) == [
        "The machine changes: `GPU_SMALL -> GPU_MEDIUM`.",
        "It stays on without requests, and costs as much.",
    ]


def test_limits_and_logging() -> None:
    before = endpoint({1: 100}, gateway=gateway({"user": 600, "endpoint": 6000}))
    after = endpoint({1: 100}, gateway=gateway({"user": 60}, prefix=None))
    assert serving(before, after) == [
        "There is no limit for all together any more (was 6000 requests a minute).",
        "Limit for each user: 60 requests a minute (was 600 requests).",
        "Requests and answers are **no longer logged** (were in `dev.scgpt.log_payload`).",
    ]


def test_a_limit_of_one_user_hides_none_of_the_others() -> None:
    every, one = {"key": "user", "calls": 60}, {"key": "user", "principal": "ann", "calls": 900}
    before = endpoint({1: 100}, gateway=gateway() | {"rate_limits": [every | {"calls": 600}, one]})
    after = endpoint({1: 100}, gateway=gateway() | {"rate_limits": [every, one]})
    assert serving(before, after) == [
        "Limit for each user: 60 requests a minute (was 600 requests)."
    ]
    assert serving(after, endpoint({1: 100}, gateway=gateway() | {"rate_limits": [every]})) == [
        "There is no limit for user `ann` any more (was 900 requests a minute)."
    ]


def test_what_no_request_notices() -> None:
    before, after = endpoint({1: 100}), endpoint({1: 100}, tags={"team": "bio"})
    assert serving(before, after) == ["Nothing that a request notices: `tags` change."]
    assert serving(before, after | {"id": None}, after_unknown={"id": True}) == [
        "Nothing that a request notices: `tags` change."
    ]


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (["delete"], "is **deleted**, requests to it fail."),
        (["delete", "create"], "is **deleted and made anew**, requests to it fail."),
    ],
)
def test_a_loss(actions: list[str], words: str) -> None:
    after = None if actions == ["delete"] else endpoint({1: 100})
    assert serving(endpoint({1: 100}), after, actions=actions) == [
        f"The endpoint `scgpt-serving` {words}"
    ]


def test_grants() -> None:
    grant = {"principal": "scientists", "model": "dev.scgpt.genes"}
    before, after = grant | {"privileges": ["APPLY_TAG"]}, grant | {"privileges": ["EXECUTE"]}
    assert sentences(plan(change("grant", before, after))) == [
        "`scientists` gets `EXECUTE` on the model `dev.scgpt.genes`.",
        "`scientists` **loses** `APPLY_TAG` on the model `dev.scgpt.genes`.",
    ]


def test_permissions() -> None:
    def access(**levels: str) -> Any:
        entries = [{"group_name": who, "permission_level": level} for who, level in levels.items()]
        return {"serving_endpoint_id": "1", "access_control": entries}

    before, after = access(a="CAN_VIEW", b="CAN_QUERY"), access(a="CAN_QUERY", c="CAN_MANAGE")
    assert sentences(plan(change("permissions", before, after))) == [
        "`a` may ask the endpoint (`CAN_QUERY` instead of `CAN_VIEW`).",
        "`b` **may no longer use** the endpoint (had `CAN_QUERY`).",
        "`c` may manage the endpoint (`CAN_MANAGE`).",
    ]


def test_permissions_of_what_is_still_to_be_made() -> None:
    entries = [
        {"service_principal_name": "d", "permission_level": "IS_OWNER"},
        {"service_principal_name": "p", "permission_level": "CAN_VIEW"},
    ]
    after = {"serving_endpoint_id": None, "access_control": entries}
    made = change("permissions", None, after, after_unknown={"id": True, "job_id": True})
    assert sentences(plan(made)) == [
        "`d` owns a job (`IS_OWNER`).",
        "`p` may see a job (`CAN_VIEW`).",
    ]


def test_other_things_by_their_names() -> None:
    alert = {"display_name": "errors", "query_text": "select 1"}
    entries = [
        change("alert_v2", None, alert),
        change("alert_v2", alert, alert | {"query_text": "select 2"}),
        change("volume", {"name": "artifacts"}, None),
        change("strange_thing", None, {"size": 1}),
    ]
    assert sentences(plan(*entries)) == [
        "The volume `artifacts` is **deleted**, with the files in it.",
        "The alert `errors` is created.",
        "The alert `errors` changes: `query_text`.",
        "The databricks_strange_thing `databricks_strange_thing.it` is created.",
    ]


def test_fields_that_are_known_in_part_or_not_yet() -> None:
    before = {"display_name": "a", "evaluation": {"threshold": 1}, "warehouse_id": "w"}
    after = before | {"evaluation": {"threshold": 2}}
    part = {"evaluation": {"state": True}, "update_time": True}
    del (follows := dict(before))["warehouse_id"]
    entries = [
        change("alert_v2", before, after, after_unknown=part),
        change("alert_v2", before, follows, after_unknown={"warehouse_id": True}),
    ]
    assert sentences(plan(*entries)) == [
        "The alert `a` changes: `evaluation`.",
        "The alert `a` changes: `warehouse_id`.",
    ]


def test_names_cannot_break_out() -> None:
    entry = change("job", None, {"name": "a` @everyone [x](http://evil)\n# title"})
    assert sentences(plan(entry)) == ["The job `a' @everyone [x](http://evil) # title` is created."]


def test_the_split() -> None:
    moved = plan(change("model_serving", endpoint({1: 100}), endpoint({1: 90, 2: 10})))
    assert split(moved) == Split({1: 100}, {1: 90, 2: 10})
    tags = change("model_serving", endpoint({1: 100}), endpoint({1: 100}, tags={"a": "b"}))
    assert split(plan(tags)) is None
