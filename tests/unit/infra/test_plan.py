"""Reading plans as Terraform writes them, and refusing other documents."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.infra.plan import Leaf, Plan, PlanError, leaves
from tests.unit.infra.plans import ENDPOINT, document, edited, entry, plan_of

# As Terraform 1.11 prints them.
STATE = {
    "format_version": "1.0",
    "terraform_version": "1.11.4",
    "values": {"root_module": {"resources": [{"address": "databricks_schema.x"}]}},
}
NOTHING_TO_DO = {
    "format_version": "1.2",
    "planned_values": {"root_module": {}},
    "applyable": False,
    "complete": True,
    "errored": False,
}


@pytest.mark.parametrize("state", [STATE, {"format_version": "1.0"}])
def test_a_state_is_no_plan(state: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"a state, no plan.*terraform plan -out=") as raised:
        Plan.of(state)
    assert raised.value.exit_code == 2


def test_a_plan_that_changes_nothing_is_one() -> None:
    plan = Plan.of(NOTHING_TO_DO)
    assert (plan.resources, plan.changes, plan.errored, plan.complete) == ((), (), False, True)


def of_endpoint(**changes: Any) -> list[Any]:
    """The entries of a plan that creates an endpoint."""
    plan = plan_of("model_serving", ["create"], None, edited(**changes))
    entries: list[Any] = plan["resource_changes"]
    return entries


def without(*path: str) -> list[Any]:
    """The entries of a plan, one of which lacks a key."""
    (entry,) = of_endpoint()
    *outer, last = path
    place = entry
    for name in outer:
        place = place[name]
    del place[last]
    return [entry]


@pytest.mark.parametrize(
    ("entries", "where"),
    [
        (None, "resource_changes is no list"),
        ({}, "resource_changes is no list"),
        (["x"], "resource_changes.0: "),
        ([{"address": "a"}], "resource_changes.0.mode: "),
        (without("change", "before"), "resource_changes.0.change.before: "),
        (without("change", "actions"), "resource_changes.0.change.actions: "),
        ([*of_endpoint(), None], "resource_changes.1: "),
        (of_endpoint(config={}), "resource_changes.0.change.after.config: "),
        (of_endpoint(ai_gateway=[[]]), "resource_changes.0.change.after.ai_gateway.0: "),
        (
            of_endpoint(config__traffic_config__routes=[{"traffic_percentage": "all"}]),
            "resource_changes.0.change.after.config.0.traffic_config.0.routes.0.traffic_percentage",
        ),
        (
            plan_of("schema", ["vanish"], {}, None)["resource_changes"],
            "resource_changes.0.change.actions.0: ",
        ),
    ],
)
def test_what_terraform_does_not_write_is_told_in_a_sentence(entries: Any, where: str) -> None:
    with pytest.raises(PlanError) as raised:
        Plan.of({"format_version": "1.2", "resource_changes": entries})
    assert f"not what Terraform writes: {where}" in str(raised.value)
    assert "terraform show -json PLANFILE" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "state",
    [
        "x",
        [],
        {"values": None},
        {"values": {"root_module": {"resources": ["x"]}}},
        {"values": {"root_module": {"resources": [{"type": "databricks_schema"}]}}},
    ],
)
def test_a_state_that_terraform_does_not_write_is_told(state: Any) -> None:
    with pytest.raises(PlanError, match="not what Terraform writes: prior_state: "):
        Plan.of({"format_version": "1.2", "resource_changes": [], "prior_state": state})


def test_values_are_not_told() -> None:
    entity = {**ENDPOINT["config"][0]["served_entities"][0], "environment_vars": ["s3cr3t"]}
    entries = of_endpoint(config__served_entities=[entity])
    with pytest.raises(PlanError, match=r"served_entities\.0\.environment_vars") as raised:
        Plan.of(document(*entries))
    assert "s3cr3t" not in str(raised.value)


def test_what_is_changed_is_said_in_a_word() -> None:
    imported = {"importing": {"id": "a.b"}}
    plan = Plan.of(
        document(
            entry("schema", ["no-op"], {}, {}, "still"),
            entry("schema", ["no-op"], {}, {}, "taken", **imported),
            entry("schema", ["update"], {"comment": "a"}, {"comment": "b"}, "both", **imported),
            entry("schema", ["delete", "create"], {}, {}, "anew"),
            entry("schema", ["create"], None, {}, "new"),
            entry("schema", ["read"], None, {}, "looked-up") | {"mode": "data"},
        )
        | {"prior_state": {"values": {"root_module": {"resources": [{"address": "a.b"}]}}}}
    )
    assert [each.action for each in plan.changes] == [
        "import",
        "import+update",
        "delete+create",
        "create",
    ]
    assert len(plan.resources) == 5, "a data source is none"
    assert [each.replaced for each in plan.changes] == [False, False, True, False]
    assert [each.created for each in plan.changes] == [False, False, False, True]
    assert plan.held == {"a.b"}


def test_values_by_path() -> None:
    tree = {"a": [{"b": 0, "c": None}, {"token": "x"}], "d": "", "e": {"f": False}}
    marks = {"sensitive": {"a": [{}, {"token": True}]}, "unknown": {"g": True, "a": [{"c": True}]}}
    assert dict(leaves(tree, **marks)) == {
        ("a", 0, "b"): Leaf(0),
        ("a", 0, "c"): Leaf(None, unknown=True),
        ("a", 1, "token"): Leaf("x", sensitive=True),
        ("e", "f"): Leaf(False),
        ("g",): Leaf(None, unknown=True),
    }
    assert dict(leaves(tree, sensitive=True)) == {(): Leaf(tree, sensitive=True)}
