from __future__ import annotations

import copy
from typing import Any

import pytest

from infra import layout, settings
from infra.guards import Facts, Finding, check

LOCAL = settings.load("local", layout.ENVIRONMENTS)

ENDPOINT: dict[str, Any] = {
    "name": "scgpt-serving",
    "description": None,
    "budget_policy_id": None,
    "email_notifications": [],
    "rate_limits": [],
    "tags": [{"key": "project", "value": "scgpt"}],
    "timeouts": {"create": "90m", "update": "90m"},
    "config": [
        {
            "auto_capture_config": [],
            "served_entities": [
                {"name": "m-1", "entity_name": "main.scgpt.m", "entity_version": "1"}
            ],
            "traffic_config": [
                {"routes": [{"served_model_name": "m-1", "traffic_percentage": 100}]}
            ],
        }
    ],
    "ai_gateway": [
        {
            "inference_table_config": [
                {
                    "enabled": True,
                    "catalog_name": "main",
                    "schema_name": "scgpt",
                    "table_name_prefix": "p",
                }
            ],
            "usage_tracking_config": [{"enabled": True}],
        }
    ],
}


def plan_of(
    kind: str,
    actions: list[str],
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    **more: Any,
) -> dict[str, Any]:
    replace_paths = more.pop("replace_paths", None)
    change = {"actions": actions, "before": before, "after": after}
    entry = {
        "address": f"databricks_{kind}.x",
        "mode": "managed",
        "type": f"databricks_{kind}",
        "provider_name": "registry.terraform.io/databricks/databricks",
        "change": change | ({"replace_paths": replace_paths} if replace_paths else {}),
        **more,
    }
    return {"resource_changes": [entry]}


def edited(**changes: Any) -> dict[str, Any]:
    """The endpoint with attributes replaced; keys of nested blocks are joined with ``__``."""
    after = copy.deepcopy(ENDPOINT)
    for key, value in changes.items():
        block: Any = after
        *outer, last = key.split("__")
        for name in outer:
            block = block[name][0]
        block[last] = value
    return after


def update(**changes: Any) -> dict[str, Any]:
    return plan_of("model_serving", ["update"], ENDPOINT, edited(**changes))


def codes(plan: dict[str, Any], facts: Facts | None = None) -> list[tuple[str, str]]:
    found: list[Finding] = check(plan, LOCAL, facts or Facts())
    assert all(finding.remedy and finding.message for finding in found)
    return [(finding.code, finding.severity) for finding in found]


def test_an_ordinary_update_passes() -> None:
    entities = [{"name": "m-2", "entity_name": "main.scgpt.m", "entity_version": "2"}]
    plan = update(config__served_entities=entities, tags=[])
    assert codes(plan, Facts(versions=frozenset({1, 2}), endpoint_updating=False)) == []


def test_creation_passes() -> None:
    assert codes(plan_of("model_serving", ["create"], None, ENDPOINT)) == []


def test_no_change_is_not_judged() -> None:
    assert codes(plan_of("model_serving", ["no-op"], ENDPOINT, edited(config=[]))) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "new"),
        ("budget_policy_id", "p"),
        ("email_notifications", [{"on_update_failure": ["a@b"]}]),
        ("rate_limits", [{"calls": 1, "renewal_period": "minute"}]),
    ],
)
def test_what_the_provider_never_sends_is_refused(field: str, value: Any) -> None:
    assert codes(update(**{field: value})) == [("no-call", "refuse")]
    assert codes(plan_of("model_serving", ["create"], None, edited(**{field: value}))) == []


def test_the_gateway_must_stay() -> None:
    assert codes(update(ai_gateway=[])) == [("gateway-removed", "refuse")]


@pytest.mark.parametrize("name", ["catalog_name", "schema_name", "table_name_prefix"])
def test_an_inference_table_cannot_move(name: str) -> None:
    plan = update(**{f"ai_gateway__inference_table_config__{name}": "other"})
    assert codes(plan) == [("table-moved", "refuse")]


def test_an_inference_table_may_be_switched_off_with_a_warning() -> None:
    assert codes(update(ai_gateway__inference_table_config=[])) == [("table-disabled", "warn")]


@pytest.mark.parametrize("name", ["inference_table_config", "usage_tracking_config"])
def test_enabled_false_is_never_sent(name: str) -> None:
    plan = update(**{f"ai_gateway__{name}__enabled": False})
    assert ("disabled-is-not-sent", "refuse") in codes(plan)


@pytest.mark.parametrize("kind", ["schema", "volume", "registered_model", "model_serving"])
def test_deletions_and_replacements_are_refused(kind: str) -> None:
    assert codes(plan_of(kind, ["delete"], {}, None)) == [("deletion", "refuse")]
    replaced = plan_of(kind, ["delete", "create"], {}, ENDPOINT, replace_paths=[["name"]])
    assert codes(replaced) == [("replacement", "refuse")]
    assert "because of name" in check(replaced, LOCAL, Facts())[0].message


def test_grants_and_permissions_may_go() -> None:
    assert codes(plan_of("grant", ["delete"], {}, None)) == []


@pytest.mark.parametrize(
    ("kind", "facts", "severity"),
    [
        ("registered_model", Facts(versions=frozenset({1})), "refuse"),
        ("registered_model", Facts(), "refuse"),
        ("registered_model", Facts(versions=frozenset()), "warn"),
        ("schema", Facts(versions=frozenset({1})), "refuse"),
        ("model_serving", Facts(endpoint_ready=True), "refuse"),
        ("model_serving", Facts(endpoint_ready=False), "warn"),
    ],
)
def test_tainted_resources_are_replaced_only_while_nothing_is_lost(
    kind: str, facts: Facts, severity: str
) -> None:
    plan = plan_of(
        kind, ["delete", "create"], {}, ENDPOINT, action_reason="replace_because_tainted"
    )
    assert ("tainted", severity) in codes(plan, facts)


def test_a_version_that_does_not_exist_is_refused() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    assert codes(plan, Facts(versions=frozenset({2}))) == [("version-missing", "refuse")]
    assert codes(plan, Facts(versions=frozenset({1, 2}))) == []


def test_an_endpoint_outside_the_state_is_adopted_not_created() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    (finding,) = check(plan, LOCAL, Facts(endpoint_ready=True))
    assert finding.code == "exists-already"
    assert "terraform import databricks_model_serving.x scgpt-serving" in finding.remedy


def test_nobody_elses_update_is_interrupted() -> None:
    assert codes(update(tags=[]), Facts(endpoint_updating=True)) == [
        ("endpoint-updating", "refuse")
    ]


def test_entities_need_names_and_routes() -> None:
    nameless = [{"name": "", "entity_name": "main.scgpt.m", "entity_version": "2"}]
    assert codes(update(config__served_entities=nameless)) == [("unnamed-entity", "refuse")]
    half = [{"served_model_name": "m-1", "traffic_percentage": 50}]
    assert codes(update(config__traffic_config__routes=half)) == [("traffic", "refuse")]


def test_legacy_tables_are_refused() -> None:
    legacy = [{"enabled": True, "catalog_name": "main"}]
    assert codes(update(config__auto_capture_config=legacy)) == [("legacy-table", "refuse")]


@pytest.mark.parametrize(
    ("limit", "refused"),
    [("8s", True), ("59s", True), ("500ms", True), ("1m", False), ("1h30m", False), (None, False)],
)
def test_a_short_create_timeout_would_delete_the_endpoint(limit: str | None, refused: bool) -> None:
    plan = plan_of("model_serving", ["create"], None, edited(timeouts={"create": limit}))
    assert codes(plan) == ([("short-timeout", "refuse")] if refused else [])


def test_another_provider_is_refused() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    plan["resource_changes"][0]["provider_name"] = "registry.terraform.io/hashicorp/null"
    assert codes(plan) == [("unknown-provider", "refuse")]
