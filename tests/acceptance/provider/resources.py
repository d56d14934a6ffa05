"""Resources of Terraform that several tests declare."""

from __future__ import annotations

from typing import Any

SCHEMA = {"s": {"catalog_name": "main", "name": "scgpt", "comment": "c"}}

ENDPOINT: dict[str, Any] = {
    "name": "ep",
    "config": {
        "served_entities": [{"name": "m-1", "entity_name": "main.scgpt.m", "entity_version": "1"}],
        "traffic_config": {"routes": [{"served_model_name": "m-1", "traffic_percentage": 100}]},
    },
    "ai_gateway": {"usage_tracking_config": {"enabled": True}},
    "tags": [{"key": "team", "value": "bio"}, {"key": "only"}],
}


def endpoint(**changed: Any) -> dict[str, Any]:
    return {"databricks_model_serving": {"e": {**ENDPOINT, **changed}}}
