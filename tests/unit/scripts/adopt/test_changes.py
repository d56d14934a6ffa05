"""What the first plan of an adopted endpoint is told to change."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.scripts.adopt.changes import Change, changes


def test_a_change_is_told_field_by_field_and_values_of_variables_are_not() -> None:
    before = {"comment": "", "config": [{"environment_vars": {"A": "old"}, "name": "a"}]}
    after = {"comment": "ours", "config": [{"environment_vars": {"A": "new"}, "name": "b"}]}
    update = {"actions": ["update"], "before": before, "after": after}
    entries = [
        {"address": "x.y", "change": update},
        {"address": "x.same", "change": {"actions": ["no-op"], "before": {}, "after": {}}},
        {"address": "x.new", "change": {"actions": ["create"], "before": None, "after": {}}},
    ]
    found_ = changes("s", {"resource_changes": entries})
    assert [(c.address, c.action, c.adds_only) for c in found_] == [
        ("x.y", "update", False),
        ("x.new", "create", True),
    ]
    assert found_[0].fields == (
        '+ comment = "ours"',
        "~ config[0].environment_vars.A = (hidden)",
        '~ config[0].name = "a" -> "b"',
    )
    assert Change("s", "a", "update", ('+ comment = "x"',)).adds_only
    assert not Change("s", "a", "delete+create", ()).adds_only


def test_values_of_variables_are_not_told_either_where_an_entity_comes_or_goes() -> None:
    def entities(*values: str) -> dict[str, Any]:
        served = [{"name": v[0], "environment_vars": {"KEY": v}} for v in values]
        return {"config": [{"served_entities": served}]}

    def told(before: dict[str, Any], after: dict[str, Any]) -> str:
        change = {"actions": ["update"], "before": before, "after": after}
        (found_,) = changes("s", {"resource_changes": [{"address": "x.y", "change": change}]})
        return "\n".join(found_.fields)

    for before, after in (
        (entities("a-secret"), entities("a-secret", "b-secret")),
        ({"config": []}, entities("a-secret")),
        (entities("a-secret"), {"config": None}),
    ):
        assert "-secret" not in told(before, after)
        assert "KEY" in told(before, after)
