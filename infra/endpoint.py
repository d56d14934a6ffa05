"""The endpoint in the API's own shape: from our files, and back into their words.

The stack, the verification, ``scgpt endpoint apply``, the adoption and the examples all take it
from here. A new field with a plain value is added to the settings and to a table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .release import Manifest
from .settings import Settings
from .settings.endpoint import GPU_VARIABLE

PLAIN: Mapping[str, Any] = {"route_optimized": False, "description": None, "budget_policy_id": None}
"""Field of the endpoint with a plain value, named as in the settings -> its value when absent."""

SIZE: Mapping[str, Any] = {
    "workload_type": "CPU",
    "workload_size": None,
    "min_provisioned_concurrency": None,
    "max_provisioned_concurrency": None,
    "scale_to_zero_enabled": False,
}
"""Field of a served entity that all entities share -> its value when absent."""


def describe(settings: Settings, manifest: Manifest) -> dict[str, Any]:
    """Return the body of ``POST /api/2.0/serving-endpoints``; what is not given is left out."""
    endpoint = settings.endpoint
    served = [(manifest.name_of(each), each) for each in manifest.served]
    body = {
        "name": settings.names.endpoint,
        **{field: getattr(endpoint, field) for field in PLAIN},
        "email_notifications": notifications(settings),
        "config": {
            "served_entities": [
                {
                    # Always named: else a new version is sent under the name of the old one.
                    "name": name,
                    "entity_name": manifest.model,
                    "entity_version": str(each.version),
                    **_size(settings),
                }
                for name, each in served
            ],
            # Always explicit: else the old route of 100 % stays when a version is added.
            "traffic_config": {
                "routes": [
                    {"served_model_name": name, "traffic_percentage": each.traffic}
                    for name, each in served
                ]
            },
        },
        "ai_gateway": gateway(settings),
        "tags": [{"key": key, "value": value} for key, value in sorted(settings.tags.items())],
    }
    return _given(body)


def notifications(settings: Settings) -> dict[str, list[str]] | None:
    """Return who is told of an update's end; None where nobody is."""
    told = settings.endpoint.email_notifications.model_dump()
    return {when: list(whom) for when, whom in told.items() if whom} or None


def gateway(settings: Settings) -> dict[str, Any] | None:
    """Return the AI Gateway, or None where the endpoint never had one.

    What is off is left out, because the provider never sends ``enabled = false``. The block itself
    stays when all is off: the provider fails when it is removed.
    """
    wanted, names = settings.gateway, settings.names
    if not wanted.declared:
        return None
    table = wanted.inference_table_prefix and {
        "enabled": True,
        "catalog_name": names.catalog,
        "schema_name": names.schema,
        "table_name_prefix": wanted.inference_table_prefix,
    }
    limits = [
        {**limit.model_dump(exclude_none=True), "renewal_period": "minute"}
        for limit in wanted.rate_limits
    ]
    usage = {"enabled": True} if wanted.usage_tracking else None
    return _given(
        {
            "inference_table_config": table,
            "usage_tracking_config": usage,
            "rate_limits": limits or None,
        }
    )


def access_list(settings: Settings) -> list[dict[str, str]]:
    """Return who may use the endpoint, as the permissions API takes it."""
    levels = settings.endpoint_levels
    kinds = {
        "group_name": levels.groups,
        "user_name": levels.users,
        "service_principal_name": levels.service_principals,
    }
    return [
        {kind: principal, "permission_level": level}
        for kind, of in kinds.items()
        for principal, level in sorted(of.items())
    ]


def shares(config: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the name of each served entity of a configuration -> percent of the requests."""
    config = config or {}
    found = {str(each.get("name")): 0 for each in config.get("served_entities") or []}
    for route in (config.get("traffic_config") or {}).get("routes") or []:
        name = route.get("served_entity_name") or route.get("served_model_name")
        found[name] = route.get("traffic_percentage") or 0
    return found


def tables_of(endpoint: Mapping[str, Any], entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of an environment's file that describe an endpoint of the API.

    Sizes and variables come from one served entity, for all share them.
    """
    low, high = (entity.get(f"{end}_provisioned_concurrency") for end in ("min", "max"))
    size: dict[str, Any] = {"workload_size": entity.get("workload_size") or "Small"}
    if high:
        size = {"provisioned_concurrency": {"min": low or 4, "max": high}}
    kind = entity.get("workload_type") or "CPU"
    variables = {**(entity.get("environment_vars") or {})}
    expects = variables.pop(GPU_VARIABLE, None) == "true"
    optional = {
        **{field: endpoint.get(field) for field in PLAIN},
        "email_notifications": endpoint.get("email_notifications"),
        "environment": variables,
    }
    return {
        "endpoint": {
            "name": endpoint["name"],
            "workload_type": kind,
            **({} if kind == "CPU" else {"require_gpu": expects}),
            **size,
            "scale_to_zero": bool(entity.get("scale_to_zero_enabled")),
            **{key: value for key, value in optional.items() if value},
        },
        "gateway": _gateway_table(endpoint),
    }


def _gateway_table(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    found = endpoint.get("ai_gateway") or {}
    table = found.get("inference_table_config") or {}
    limits = [
        {key: limit[key] for key in ("calls", "key", "principal") if limit.get(key)}
        for limit in found.get("rate_limits") or []
        if limit.get("calls")
    ]
    prefix = table.get("table_name_prefix") or endpoint["name"]
    return {
        **({} if found else {"declared": False}),
        "inference_table_prefix": prefix if table.get("enabled") else "",
        "usage_tracking": bool((found.get("usage_tracking_config") or {}).get("enabled")),
        **({"rate_limits": limits} if limits else {}),
    }


def _size(settings: Settings) -> dict[str, Any]:
    endpoint = settings.endpoint
    bounds = endpoint.provisioned_concurrency
    expected = {GPU_VARIABLE: "true"} if settings.requires_gpu else {}
    return _given(
        {
            "workload_type": settings.workload_type,
            "workload_size": endpoint.workload_size,
            "min_provisioned_concurrency": bounds and bounds.min,
            "max_provisioned_concurrency": bounds and bounds.max,
            "scale_to_zero_enabled": endpoint.scale_to_zero,
            "environment_vars": {**endpoint.environment, **expected} or None,
        }
    )


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
