"""The changes in the first plan of an adopted endpoint are told."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.adopt.changes import Remaining, changes
from tests.unit.infra.plans import document, entry, plan_of


def test_a_change_is_told_field_by_field_and_values_of_variables_are_not() -> None:
    before = {"comment": "", "config": [{"environment_vars": {"A": "old"}, "name": "a"}]}
    after = {"comment": "ours", "config": [{"environment_vars": {"A": "new"}, "name": "b"}]}
    plan = document(
        entry("job", ["update"], before, after),
        entry("job", ["no-op"], {}, {}, "same"),
        entry("job", ["create"], None, {}, "new"),
        entry("job", ["no-op"], {}, {}, "taken", importing={"id": "1"}),
    )
    found_ = changes("s", Plan.of(plan))
    assert [(c.address, c.action, c.adds_only) for c in found_] == [
        ("databricks_job.x", "update", False),
        ("databricks_job.new", "create", True),
    ]
    assert found_[0].fields == (
        '+ comment = "ours"',
        "~ config[0].environment_vars.A = (hidden)",
        '~ config[0].name = "a" -> "b"',
    )
    assert Remaining("s", "a", "update", ('+ comment = "x"',)).adds_only
    assert not Remaining("s", "a", "delete+create", ()).adds_only


def test_values_of_variables_are_not_told_either_where_an_entity_comes_or_goes() -> None:
    def entities(*values: str) -> dict[str, Any]:
        served = [{"name": v[0], "environment_vars": {"KEY": v}} for v in values]
        return {"config": [{"served_entities": served}]}

    def told(before: dict[str, Any], after: dict[str, Any]) -> str:
        (found_,) = changes("s", Plan.of(plan_of("model_serving", ["update"], before, after)))
        return "\n".join(found_.fields)

    for before, after in (
        (entities("a-secret"), entities("a-secret", "b-secret")),
        ({"config": []}, entities("a-secret")),
        (entities("a-secret"), {"config": None}),
    ):
        assert "-secret" not in told(before, after)
        assert "KEY" in told(before, after)
