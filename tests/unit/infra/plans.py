"""Plans as Terraform shows them, cut down to what guards read."""

from __future__ import annotations

import copy
from typing import Any

ENDPOINT: dict[str, Any] = {
    "name": "scgpt-serving",
    "description": None,
    "budget_policy_id": None,
    "email_notifications": [],
    "rate_limits": [],
    "tags": [{"key": "project", "value": "scgpt"}],
    "timeouts": {"create": "100m", "update": "100m"},
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


def entry(
    kind: str, actions: list[str], before: Any, after: Any, name: str = "x", **change: Any
) -> dict[str, Any]:
    """Return one entry of a plan."""
    return {
        "address": f"databricks_{kind}.{name}",
        "mode": "managed",
        "type": f"databricks_{kind}",
        "provider_name": "registry.terraform.io/databricks/databricks",
        "change": {"actions": actions, "before": before, "after": after, **change},
    }


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a plan with these entries."""
    return {"format_version": "1.2", "resource_changes": list(entries)}


def plan_of(
    kind: str,
    actions: list[str],
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    **more: Any,
) -> dict[str, Any]:
    """Return a plan of one change; what is given beside stands beside it in the entry."""
    paths = {key: more.pop(key) for key in ("replace_paths",) if key in more}
    return document(entry(kind, actions, before, after, **paths) | more)


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
