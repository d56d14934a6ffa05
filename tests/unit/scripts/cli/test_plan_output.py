"""A plan on the screen: what is created, what is refused, and what comes next."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from scgpt_databricks.infra.guards import Finding
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.cli import deploy
from scgpt_databricks.scripts.deploy.results import PlanResult, StackPlan
from tests.unit.infra.plans import document, entry

SCHEMA = entry("schema", ["create"], None, {"name": "scgpt", "comment": None, "owner": ""}, "s")
LATER: dict[str, Any] = {"id": True}
MODEL = entry("registered_model", ["create"], None, {"name": "m"}, "m", after_unknown=LATER)
REFUSED = Finding("deletion", "databricks_schema.s", "would be deleted", "Put it back.")
WARNED = replace(REFUSED, severity="warn")


def planned(*findings: Finding, changes: tuple[Any, ...] = (SCHEMA, MODEL)) -> PlanResult:
    stack = StackPlan("dev-registry", Plan.of(document(*changes)), findings)
    return PlanResult("dev", "the provider", (stack,))


def shown(result: PlanResult, *, colour: bool = False) -> str:
    screen = io.StringIO()
    system = "standard" if colour else None
    console = Console(file=screen, force_terminal=colour, color_system=system, width=80)
    console.print(deploy._text(result), soft_wrap=True)
    return screen.getvalue()


def test_a_creation_shows_what_is_declared() -> None:
    assert shown(planned()).splitlines()[:-1] == [
        "dev: 2 changes, by the provider",
        "  dev-registry: create databricks_schema.s",
        '    + name = "scgpt"',
        "  dev-registry: create databricks_registered_model.m",
        '    + name = "m"',
    ]


def test_a_refused_plan_has_no_digest() -> None:
    result = planned(REFUSED)
    assert "digest" not in shown(result)
    assert deploy._as_dict(result)["plan_digest"] is None
    assert f"digest {planned(WARNED).digest}" in shown(planned(WARNED))
    assert deploy._as_dict(planned(WARNED))["plan_digest"] == planned().digest


def test_refusals_stand_below_the_changes_and_in_colour() -> None:
    last = shown(planned(WARNED, REFUSED)).splitlines()[-2:]
    assert last == [
        "warn: dev-registry: databricks_schema.s: would be deleted (deletion). Put it back.",
        "refuse: dev-registry: databricks_schema.s: would be deleted (deletion). Put it back.",
    ]
    coloured = shown(planned(REFUSED), colour=True)
    assert "\x1b[1;31mrefuse: dev-registry" in coloured


def test_each_plan_says_what_comes_next() -> None:
    nothing = planned(changes=())
    assert deploy._after_plan(planned(REFUSED)) == "mend what is refused, then scgpt plan dev"
    assert deploy._after_plan(planned()) == "scgpt deploy dev"
    assert deploy._after_plan(nothing) == "scgpt verify dev"
    unreleased = replace(nothing, released=False)
    assert deploy._after_plan(unreleased).startswith("scgpt build dev --checkpoint DIR")
