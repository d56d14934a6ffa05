"""An endpoint serves versions that exist and were validated, on sizes that there are."""

from __future__ import annotations

import pytest

from scgpt_databricks.infra.guards import Facts
from tests.unit.infra.judged import LOCAL, check, codes, serving, versions
from tests.unit.infra.plans import ENDPOINT, edited, plan_of, update


def test_a_version_that_does_not_exist_is_refused() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    assert codes(plan, Facts(versions=versions(2))) == [("version-missing", "refuse")]
    assert codes(plan, Facts(versions=versions(1, 2))) == []


def test_the_same_number_of_another_model_is_no_proof() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    others = frozenset({("main.other.m", 1)})
    assert codes(plan, Facts(versions=others, validated=others)) == [("version-missing", "refuse")]
    both = Facts(versions=others | versions(1), validated=others)
    assert codes(plan, both) == [("version-not-validated", "refuse")]


def test_entities_need_names_and_routes() -> None:
    nameless = [{"name": "", "entity_name": "main.scgpt.m", "entity_version": "2"}]
    assert codes(update(config__served_entities=nameless)) == [("unnamed-entity", "refuse")]
    half = [{"served_model_name": "m-1", "traffic_percentage": 50}]
    assert codes(update(config__traffic_config__routes=half)) == [("traffic", "refuse")]


def test_a_version_that_no_build_validated_is_refused() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    ready = versions(1, 2)
    assert codes(plan, Facts(versions=ready, validated=versions(2))) == [
        ("version-not-validated", "refuse")
    ]
    assert codes(plan, Facts(versions=ready, validated=versions(1))) == []


@pytest.mark.parametrize(
    ("before", "after", "severities"),
    [
        # An endpoint that was adopted: other changes go through.
        ([("main.scgpt.m", "1")], [("main.scgpt.m", "1")], ["warn"]),
        ([("main.scgpt.m", "1")], [("main.scgpt.m", "2")], ["refuse"]),
        ([("main.scgpt.m", "1")], [("main.scgpt.m", "1"), ("main.scgpt.m", "2")],
         ["refuse", "warn"]),
        ([("main.scgpt.m", "1"), ("main.scgpt.m", "2")], [("main.scgpt.m", "3")], []),
        # The same number of another model.
        ([("main.other.m", "1")], [("main.scgpt.m", "1")], ["refuse"]),
    ],
)  # fmt: skip
def test_only_a_version_that_comes_new_has_to_be_validated(
    before: list[tuple[str, str]], after: list[tuple[str, str]], severities: list[str]
) -> None:
    plan = plan_of(
        "model_serving",
        ["update"],
        edited(**serving(*before)),
        edited(**serving(*after), tags=[]),
    )
    known = Facts(
        versions=versions(1, 2, 3) | {("main.other.m", 1)},
        validated=versions(3),
    )
    found = codes(plan, known)
    assert found == [("version-not-validated", severity) for severity in severities]


@pytest.mark.parametrize(
    ("cloud", "kind", "refused"),
    [
        ("aws", "GPU_MEDIUM", False),
        ("azure", "GPU_MEDIUM", True),
        ("azure", "GPU_LARGE", False),
        ("gcp", "GPU_SMALL", True),
        ("gcp", None, False),
    ],
)
def test_gpu_types_by_cloud(cloud: str, kind: str | None, refused: bool) -> None:
    entity = {"name": "m-1", "entity_name": "m", "entity_version": "1", "workload_type": kind}
    plan = plan_of("model_serving", ["create"], None, edited(config__served_entities=[entity]))
    environment = LOCAL.model_copy(update={"cloud": cloud})
    found = [finding.check for finding in check(plan, environment, Facts())]
    assert found == (["workload-type"] if refused else [])


@pytest.mark.parametrize(
    ("served", "refused"),
    [
        ([("main.scgpt.m", "2"), ("main.scgpt.m", "1")], True),
        # It may stay warm, without requests, until the next deploy takes it away.
        ([("main.scgpt.m", "1"), ("main.scgpt.m", "2")], False),
        ([("main.other.m", "2"), ("main.scgpt.m", "1")], False),
    ],
)
def test_a_version_that_was_rolled_back_gets_no_requests(
    served: list[tuple[str, str]], refused: bool
) -> None:
    plan = update(**serving(*served))
    known = Facts(rolled_back={("main.scgpt.m", 2): "it fails more often"})
    found = check(plan, LOCAL, known)
    assert [finding.check for finding in found] == (["version-rolled-back"] if refused else [])
    if refused:
        assert "which was rolled back: it fails more often" in found[0].message
