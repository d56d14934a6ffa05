"""Plans with values that no stack of ours writes: each is judged, none ends in a stack trace."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.guards import Facts, skipped
from scgpt_databricks.infra.guards.serving import seconds
from tests.unit.infra.judged import check
from tests.unit.infra.plans import edited, plan_of, update

LOCAL = settings.load("local", layout.ENVIRONMENTS)
REFUSED = [("version-missing", "refuse")]


def codes(plan: dict[str, Any], facts: Facts | None = None) -> list[tuple[str, str]]:
    return [(found.check, found.severity) for found in check(plan, LOCAL, facts or Facts())]


def of(version: str | None, model: str = "main.scgpt.m") -> dict[str, Any]:
    return update(
        config__served_entities=[{"name": "m-1", "entity_name": model, "entity_version": version}]
    )


@pytest.mark.parametrize(
    "version", ["latest", "", "-1", "1.0", "0", "01", "1 ", "\u0661", "9" * 5000]
)
def test_a_version_that_is_no_number(version: str) -> None:
    assert codes(of(version)) == REFUSED, "no workspace is needed"
    one = frozenset({("main.scgpt.m", 1)})
    known = Facts(versions=one, validated=one)
    assert codes(of(version), known) == REFUSED
    (finding,) = check(of(version), None, Facts())
    assert f"main.scgpt.m, version {version!r}" in finding.message
    assert "version-missing" in skipped(None, Facts()), "whether a number exists is another matter"


def test_versions_that_are_of_no_model_in_unity_catalog_or_not_known() -> None:
    assert codes(of("latest", "of-the-old-registry")) == []
    assert codes(of(None)) == []
    assert codes(of("7")) == []


def test_two_entities_of_one_name() -> None:
    served = [
        {"name": "m-1", "entity_name": "main.scgpt.m", "entity_version": number}
        for number in ("1", "2")
    ]
    (finding,) = check(update(config__served_entities=served), LOCAL, Facts())
    assert (finding.check, finding.severity) == ("traffic", "refuse")
    assert finding.message == "more than one served entity is called m-1"


@pytest.mark.parametrize("limit", ["1.2.3h", ".h", "h", "90", "tomorrow", "-100m", "100 m"])
def test_a_timeout_that_is_no_duration(limit: str) -> None:
    plan = plan_of("model_serving", ["create"], None, edited(timeouts={"create": limit}))
    (finding,) = check(plan, LOCAL, Facts())
    assert finding.check == "short-timeout"
    assert f"create timeout {limit}: no duration" in finding.message


def test_durations_as_go_writes_them() -> None:
    assert seconds("1h30m") == 5400
    assert seconds(".5h1.5m2.s") == 1800 + 90 + 2
    assert seconds("1500ms") == 1.5


@pytest.mark.parametrize("kind", ["schema", "model_serving"])
def test_a_creation_of_nothing_is_read(kind: str) -> None:
    assert codes(plan_of(kind, ["create"], None, None)) == []
