"""Judgements of a plan in `local`, and the workspaces that they are about."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.infra import guards, layout, settings
from scgpt_databricks.infra.guards import Facts, Finding, Live, Version
from scgpt_databricks.infra.plan import Plan

LOCAL = settings.load("local", layout.ENVIRONMENTS)


def check(
    document: dict[str, Any], environment: settings.Settings | None, facts: Facts
) -> list[Finding]:
    """Judge a plan as Terraform prints it."""
    return guards.check(Plan.of(document), environment, facts)


def codes(plan: dict[str, Any], facts: Facts | None = None) -> list[tuple[str, str]]:
    found = check(plan, LOCAL, facts or Facts())
    assert all(finding.remedy and finding.message for finding in found)
    return [(finding.check, finding.severity) for finding in found]


def versions(*numbers: int) -> frozenset[Version]:
    return frozenset(("main.scgpt.m", number) for number in numbers)


def live(*, ready: bool = True, updating: bool = False, **fields: Any) -> Facts:
    """A workspace with the endpoint of these plans."""
    return Facts(endpoints={"scgpt-serving": Live(ready, updating, fields)})


def serving(*served: tuple[str, str]) -> dict[str, Any]:
    """Changes of the endpoint: these versions of models, the first of which gets the traffic."""
    entities = [
        {"name": f"m-{version}", "entity_name": model, "entity_version": version}
        for model, version in served
    ]
    routes = [
        {"served_model_name": entity["name"], "traffic_percentage": 0 if index else 100}
        for index, entity in enumerate(entities)
    ]
    return {"config__served_entities": entities, "config__traffic_config__routes": routes}
