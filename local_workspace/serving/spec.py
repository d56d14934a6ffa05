"""Requests about serving endpoints, checked: names, served entities, traffic, gateway.

Requests are checked as the real service checks them and kept exactly as sent: a value that the
caller left out is never filled in, because Terraform would see it as drift. The exceptions are
those that Terraform takes as computed: names, routes and the workload type.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..core.errors import invalid
from ..core.store import Document

_NAME = re.compile(r"(?!databricks-)[A-Za-z0-9_-]{1,63}")
_MAX_ENTITIES = 15
_SIZES = ("Small", "Medium", "Large")
_WORKLOAD_TYPES = (
    *("CPU", "CPU_MEDIUM", "CPU_LARGE", "GPU_SMALL", "GPU_MEDIUM", "GPU_MEDIUM_8", "GPU_LARGE"),
    *("GPU_LARGE_2", "GPU_XLARGE", "GPU_XLARGE_8", "MULTIGPU_MEDIUM"),
)
_KEYS = ("endpoint", "user", "user_group", "service_principal")

ECHOED = (
    *("description", "budget_policy_id", "email_notifications", "tags"),
    *("ai_gateway", "route_optimized"),
)
"""Fields of an endpoint besides its config: stored and answered as sent, absent when not sent."""

_CREATE_FIELDS = ("name", "config", "rate_limits", *ECHOED)
_CONFIG_FIELDS = ("name", "served_entities", "traffic_config", "auto_capture_config")
_ENTITY_FIELDS = (
    *("name", "entity_name", "entity_version", "environment_vars", "instance_profile_arn"),
    *("workload_size", "workload_type", "scale_to_zero_enabled"),
    *("min_provisioned_concurrency", "max_provisioned_concurrency"),
)
_GATEWAY_FIELDS = (
    *("inference_table_config", "usage_tracking_config", "rate_limits"),
    *("fallback_config", "guardrails"),
)
_TABLE_FIELDS = ("enabled", "catalog_name", "schema_name", "table_name_prefix")


def check_creation(body: Mapping[str, Any]) -> str:
    """Return the name of a new endpoint, after checking everything beside its config.

    Raises
    ------
    ApiError
        400 naming the field.
    """
    _only(body, _CREATE_FIELDS, "the endpoint")
    name = body.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise invalid(
            f"Endpoint name {name!r} is not valid: 1 to 63 letters, digits, '-' and '_', "
            "not starting with 'databricks-'."
        )
    refuse_rate_limits(body)
    check_gateway(body.get("ai_gateway", {}))
    return name


def check_config(body: Mapping[str, Any]) -> tuple[list[Document], Document]:
    """Served entities, each with its name, and the traffic between them.

    One entity without ``traffic_config`` gets all the traffic; routes are completed with the other
    one of ``served_model_name`` and ``served_entity_name``.

    Raises
    ------
    ApiError
        400 naming the entity or route.
    """
    _only(body, _CONFIG_FIELDS, "config")
    if body.get("auto_capture_config"):
        raise invalid(
            "auto_capture_config: legacy inference tables can no longer be enabled. "
            "Use ai_gateway.inference_table_config."
        )
    sent = body.get("served_entities")
    if not isinstance(sent, list) or not 1 <= len(sent) <= _MAX_ENTITIES:
        raise invalid(f"served_entities must list 1 to {_MAX_ENTITIES} entities.")
    entities = [_entity(entity) for entity in sent]
    names = [entity["name"] for entity in entities]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Served entity name {name!r} is used more than once.")
    return entities, _traffic(body.get("traffic_config") or {}, names)


def check_gateway(gateway: Mapping[str, Any]) -> None:
    """Refuse an ``ai_gateway`` that could not be honoured.

    Raises
    ------
    ApiError
        400 naming the part.
    """
    _only(gateway, _GATEWAY_FIELDS, "ai_gateway")
    if gateway.get("guardrails") or (gateway.get("fallback_config") or {}).get("enabled"):
        raise invalid(
            "ai_gateway.guardrails and fallback_config are not supported for endpoints that serve "
            "custom models."
        )
    table = gateway.get("inference_table_config") or {}
    _only(table, _TABLE_FIELDS, "ai_gateway.inference_table_config")
    missing = [field for field in ("catalog_name", "schema_name") if not table.get(field)]
    if table.get("enabled") and missing:
        raise invalid(f"ai_gateway.inference_table_config lacks: {', '.join(missing)}")
    _check_limits(gateway.get("rate_limits") or [])


def refuse_rate_limits(body: Mapping[str, Any]) -> None:
    """Refuse limits outside the gateway: the platform has them for other endpoints only.

    Raises
    ------
    ApiError
        400 when the body has any.
    """
    if body.get("rate_limits"):
        raise invalid(
            "rate_limits: only endpoints of external and foundation models have them; limit a "
            "custom model by ai_gateway.rate_limits (PUT .../ai-gateway)."
        )


def _check_limits(limits: list[Mapping[str, Any]]) -> None:
    """Refuse limits that are not a number of calls for each minute."""
    for limit in limits:
        if limit.get("renewal_period") != "minute" or limit.get("key", "endpoint") not in _KEYS:
            raise invalid(
                f"Rate limit {dict(limit)}: renewal_period must be 'minute', "
                f"key one of {', '.join(_KEYS)}."
            )
        if limit.get("tokens") or not isinstance(limit.get("calls"), int):
            raise invalid(
                f"Rate limit {dict(limit)}: custom models are limited by 'calls', a whole number."
            )
        if limit.get("key") in ("user_group", "service_principal") and not limit.get("principal"):
            raise invalid(f"Rate limit {dict(limit)}: key {limit['key']!r} needs a 'principal'.")


def _entity(sent: Any) -> Document:
    if not isinstance(sent, dict) or not sent.get("entity_name"):
        raise invalid(f"Served entity {sent!r}: missing entity_name.")
    if sent.get("external_model") or sent.get("foundation_model"):
        raise invalid("The local workspace serves registered models only, no external ones.")
    _only(sent, _ENTITY_FIELDS, f"served entity {sent['entity_name']!r}")
    version = str(sent.get("entity_version", ""))
    if re.fullmatch(r"[0-9]{1,18}", version) is None:
        raise invalid(
            f"entity_version {version!r} of {sent['entity_name']!r} is not a version number. "
            "Aliases are not resolved by serving endpoints."
        )
    name = sent.get("name") or f"{str(sent['entity_name']).rpartition('.')[2]}-{version}"
    if _NAME.fullmatch(name) is None:
        raise invalid(
            f"Served entity name {name!r} is not valid: 1 to 63 letters, digits, '-', '_'."
        )
    _check_size(name, sent)
    _check_environment(name, sent.get("environment_vars") or {})
    kind = sent.get("workload_type") or "CPU"
    return {**sent, "name": name, "entity_version": version, "workload_type": kind}


def _check_size(name: str, sent: Mapping[str, Any]) -> None:
    bounds = [sent.get("min_provisioned_concurrency"), sent.get("max_provisioned_concurrency")]
    given = [bound for bound in bounds if bound is not None]
    if given and sent.get("workload_size"):
        raise invalid(f"{name}: workload_size and provisioned concurrency exclude each other.")
    if any(not isinstance(bound, int) or bound < 0 or bound % 4 for bound in given):
        raise invalid(f"{name}: provisioned concurrency must be a multiple of 4, not {given}.")
    if None not in bounds and given[0] > given[1]:
        raise invalid(
            f"{name}: min_provisioned_concurrency {given[0]} is above the maximum {given[1]}."
        )
    if sent.get("workload_size", "Small") not in ("", *_SIZES):
        raise invalid(
            f"{name}: workload_size {sent['workload_size']!r} is not one of {', '.join(_SIZES)}."
        )
    if sent.get("workload_type", "CPU") not in ("", *_WORKLOAD_TYPES):
        raise invalid(
            f"{name}: workload_type {sent['workload_type']!r} is not one of "
            f"{', '.join(_WORKLOAD_TYPES)}."
        )


def _check_environment(name: str, variables: Mapping[str, Any]) -> None:
    for variable, value in variables.items():
        if not isinstance(value, str):
            raise invalid(f"{name}: environment variable {variable} is not a string.")


def _traffic(sent: Mapping[str, Any], names: list[str]) -> Document:
    routes = sent.get("routes") or []
    if not routes and len(names) == 1:
        routes = [{"served_entity_name": names[0], "traffic_percentage": 100}]
    found = [_route(route, names) for route in routes]
    targets = [route["served_entity_name"] for route in found]
    if len(set(targets)) != len(targets):
        raise invalid(f"traffic_config: more than one route to the same served entity: {targets}.")
    if set(targets) != set(names):
        without = sorted(set(names) - set(targets))
        raise invalid(f"traffic_config needs a route for every served entity; without: {without}.")
    total = sum(route["traffic_percentage"] for route in found)
    if total != 100:
        raise invalid(f"traffic_config: percentages must sum to 100, not {total}.")
    return {"routes": found}


def _route(sent: Mapping[str, Any], names: Collection[str]) -> Document:
    target = sent.get("served_entity_name") or sent.get("served_model_name")
    if target not in names:
        raise invalid(
            f"traffic_config: route to {target!r}, which is no served entity. "
            f"Served entities: {', '.join(names)}."
        )
    share = sent.get("traffic_percentage", 0)
    if not isinstance(share, int) or not 0 <= share <= 100:
        raise invalid(
            f"traffic_config: traffic_percentage {share!r} is no whole number of 0 to 100."
        )
    return {
        "served_model_name": target,
        "served_entity_name": target,
        "traffic_percentage": share,
    }


def _only(sent: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(sent, Mapping):
        raise invalid(f"{where} must be an object, not {sent!r}.")
    unknown = sorted(key for key, value in sent.items() if key not in known and value is not None)
    if unknown:
        raise invalid(f"Unknown or unsupported in {where}: {', '.join(unknown)}.")
