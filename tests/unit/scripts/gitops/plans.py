"""Plans as Terraform prints them, cut to what a test is about."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.infra.plan import Change, Plan

Json = dict[str, Any]

ACTIONS = {"create": ["create"], "update": ["update"], "delete": ["delete"], "noop": ["no-op"]}


def change(kind: str, before: Json | None, after: Json | None, **more: Any) -> Change:
    """Return one change of a plan; what is done follows from what is there."""
    actions = ["create"] if before is None else ["delete"] if after is None else ["update"]
    found = {"actions": actions, "before": before, "after": after, "after_unknown": {}, **more}
    address = f"databricks_{kind}.it"
    return Change.model_validate(
        {"address": address, "mode": "managed", "type": f"databricks_{kind}", "change": found}
    )


def plan(*changes: Change) -> list[Plan]:
    """Return the plans of one environment with these changes."""
    return [Plan(changes)]


def endpoint(
    traffic: dict[int, int], *, gateway: Json | None = None, tags: Json | None = None, **entity: Any
) -> Json:
    """An endpoint that serves these versions (version -> percent)."""
    defaults = {
        "workload_type": "GPU_SMALL", "workload_size": "Small", "scale_to_zero_enabled": True,
        "environment_vars": {},
    }  # fmt: skip
    entities = [
        {"name": f"genes-{version}", "entity_version": str(version), **defaults, **entity}
        for version in traffic
    ]
    routes = [
        {"served_model_name": f"genes-{version}", "traffic_percentage": share}
        for version, share in traffic.items()
    ]
    return {
        "name": "scgpt-serving",
        "config": [{"served_entities": entities, "traffic_config": [{"routes": routes}]}],
        "ai_gateway": [gateway] if gateway else [],
        "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
    }


def gateway(limits: dict[str, int] | None = None, prefix: str | None = "log") -> Json:
    table = {"catalog_name": "dev", "schema_name": "scgpt", "table_name_prefix": prefix}
    return {
        "inference_table_config": [{**table, "enabled": True}] if prefix else [],
        "rate_limits": [{"key": key, "calls": calls} for key, calls in (limits or {}).items()],
    }
