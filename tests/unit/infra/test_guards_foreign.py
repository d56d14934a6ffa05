"""Plans that are not of these stacks: cut short, or with what the platform refuses."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from infra import layout, settings
from infra.guards import Facts, check

from .plans import ENDPOINT, plan_of

LOCAL = settings.load("local", layout.ENVIRONMENTS)


def found(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding.check, finding.severity) for finding in check(plan, LOCAL, Facts())]


def waiving(check_name: str) -> settings.Settings:
    waiver = settings.Waiver(check=check_name, reason="agreed with the owners", until=date.max)
    return LOCAL.model_copy(update={"waivers": (waiver,)})


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"errored": True, "complete": False}, "stopped with an error"),
        ({"errored": False, "complete": False}, "leaves changes out"),
    ],
)
def test_a_plan_that_is_not_whole_is_refused(marks: dict[str, bool], said: str) -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    assert found(plan | {"errored": False, "complete": True}) == []
    (finding,) = check(plan | marks, LOCAL, Facts())
    assert (finding.check, finding.severity) == ("incomplete-plan", "refuse")
    assert said in finding.message


def test_what_is_left_out_on_purpose_can_be_waived() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    waived = waiving("incomplete-plan")
    (finding,) = check(plan | {"complete": False}, waived, Facts())
    assert finding.severity == "warn"
    (finding,) = check(plan | {"complete": False, "errored": True}, waived, Facts())
    assert finding.severity == "refuse", "Terraform would not apply it"


@pytest.mark.parametrize(
    "kind", ["schema", "volume", "registered_model", "model_serving", "mlflow_experiment"]
)
@pytest.mark.parametrize("actions", [["forget"], ["create", "forget"]])
def test_what_leaves_terraform_is_refused(kind: str, actions: list[str]) -> None:
    after = ENDPOINT if "create" in actions else None
    plan = plan_of(kind, actions, {"name": "x"}, after)
    assert found(plan) == [("forgotten", "refuse")]
    (finding,) = check(plan, waiving("forgotten"), Facts())
    assert finding.severity == "warn"


def test_grants_may_be_forgotten() -> None:
    assert found(plan_of("grant", ["forget"], {}, None)) == []
