from __future__ import annotations

from typing import Any

from scgpt_databricks.scripts.gitops.markdown import folded
from scgpt_databricks.scripts.gitops.plan_text import HIDDEN, fields, lines, named, shown
from tests.unit.scripts.gitops.plans import change, endpoint


def test_an_update_is_what_differs() -> None:
    before, after = endpoint({1: 100}), endpoint({2: 100})
    assert list(lines(change("model_serving", before, after))) == [
        "! databricks_model_serving.it: update",
        '-     config[0].served_entities[0].entity_version = "1"',
        '+     config[0].served_entities[0].entity_version = "2"',
        '-     config[0].served_entities[0].name = "genes-1"',
        '+     config[0].served_entities[0].name = "genes-2"',
        '-     config[0].traffic_config[0].routes[0].served_model_name = "genes-1"',
        '+     config[0].traffic_config[0].routes[0].served_model_name = "genes-2"',
    ]


def test_a_creation_leaves_out_what_only_the_workspace_knows() -> None:
    after = {"name": "s", "comment": None, "tags": []}
    entry = change("schema", None, after, after_unknown={"id": True, "owner": True})
    assert list(lines(entry)) == ["+ databricks_schema.it: create", '+     name = "s"']


def test_an_update_says_what_will_be_known_later() -> None:
    entry = change("schema", {"id": "1"}, {}, after_unknown={"id": True})
    assert list(lines(entry)) == [
        "! databricks_schema.it: update",
        '-     id = "1"',
        "+     id = (known after the deploy)",
    ]


def test_a_replacement_and_a_deletion() -> None:
    replaced = change("volume", {"name": "a"}, {"name": "b"}, actions=["delete", "create"])
    assert next(lines(replaced)) == "! databricks_volume.it: replace"
    deleted = change("volume", {"name": "a"}, None)
    assert list(lines(deleted)) == ["- databricks_volume.it: delete", '-     name = "a"']


def test_no_secret() -> None:
    """Marked as sensitive, set by hand as a plain variable, or under a telling name."""
    before = endpoint({1: 100}, environment_vars={"A": "hunter2", "B": "{{secrets/s/k}}"})
    after = endpoint({1: 100}, environment_vars={"B": "{{secrets/s/other}}", "C": "hunter3"})
    before |= {"string_value": "hunter4", "hooks": [{"url": "hunter5"}], "api_key": "hunter6"}
    entry = change(
        "model_serving", before, after,
        before_sensitive={"string_value": True, "hooks": [{"url": True}]},
    )  # fmt: skip
    text = "\n".join(lines(entry))
    assert "hunter" not in text
    assert f"environment_vars.A = {HIDDEN}" in text
    assert '"{{secrets/s/k}}"' in text
    assert '"{{secrets/s/other}}"' in text
    assert text.count(HIDDEN) == 5


def test_the_fields_of_an_update_stand_in_a_line_each() -> None:
    before = endpoint({1: 100}, workload_size="Small", environment_vars={"A": "x"})
    after = endpoint({1: 100}, workload_size="Medium", environment_vars={"A": "y", "B": "z"})
    before |= {"description": "old"}
    assert list(fields(change("model_serving", before, after))) == [
        "~ config[0].served_entities[0].environment_vars.A = (hidden)",
        "+ config[0].served_entities[0].environment_vars.B = (hidden)",
        '~ config[0].served_entities[0].workload_size = "Small" -> "Medium"',
        '- description = "old"',
    ]


def test_what_only_the_workspace_knows_is_one_line() -> None:
    before = {"name": "a", "owner": {"user": "ann"}, "etag": "1"}
    unknown = {"etag": True, "owner": True}
    entry = change("schema", before, {"name": "b"}, after_unknown=unknown)
    assert list(fields(entry)) == ['~ name = "a" -> "b"', "known after the deploy: etag, owner"]


def test_what_is_made_shows_what_is_declared_and_what_is_deleted_has_no_fields() -> None:
    made = change("volume", None, {"name": "a", "comment": None}, after_unknown={"id": True})
    assert list(fields(made)) == ['+ name = "a"']
    assert list(fields(change("volume", {"name": "a"}, None))) == []


def test_a_field_of_a_difference() -> None:
    assert shown("tags.team", "bio") == '"bio"'
    assert shown("environment_vars.KEY", "hunter2") == HIDDEN
    assert shown("webhook token", "hunter2") == HIDDEN


def test_a_long_value_is_cut() -> None:
    assert shown("serialized_dashboard", "x" * 5000) == '"' + "x" * 199 + "... (5002 characters)"


def test_a_value_cannot_close_the_block() -> None:
    text = folded("plan", ["+ a = ````", "+ b"], 1000)
    assert text.count("`````") == 2
    assert text.index("`````diff") < text.index("````\n") < text.rindex("`````")


def test_a_long_plan_is_cut() -> None:
    text = folded("plan", [f"line {number}" for number in range(100)], 80)
    assert "line 9\n" in text
    assert "line 11\n" not in text
    assert "more lines: `scgpt review` shows them" in text


def test_access_lists_and_tags_are_paired_by_name() -> None:
    """Terraform sorts them: one that comes first moves all the others."""

    def block(**levels: str) -> dict[str, Any]:
        entries = [{"group_name": who, "permission_level": level} for who, level in levels.items()]
        tags = [{"key": who, "value": level.lower()} for who, level in levels.items()]
        return {"access_control": entries, "tags": tags}

    old, new = block(b="CAN_QUERY", c="CAN_VIEW"), block(a="CAN_VIEW", b="CAN_MANAGE", c="CAN_VIEW")
    assert list(fields(change("permissions", old, new))) == [
        '+ access_control[a].group_name = "a"',
        '+ access_control[a].permission_level = "CAN_VIEW"',
        '~ access_control[b].permission_level = "CAN_QUERY" -> "CAN_MANAGE"',
        '+ tags[a].key = "a"',
        '+ tags[a].value = "can_view"',
        '~ tags[b].value = "can_query" -> "can_manage"',
    ]
    assert named(["access_control[a].group_name", "tags[0].key"]) == [
        "access_control.group_name",
        "tags.key",
    ]
