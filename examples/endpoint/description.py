"""The endpoint that the examples make: the environment's own, described for the REST API.

The names, sizes and versions come from an environment's TOML file and release manifest, so that the
result is what ``scgpt deploy`` makes; each can be given on the command line instead.
"""

from __future__ import annotations

import argparse
import re
import uuid
from typing import Any

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.settings import Settings


def arguments(text: str | None) -> argparse.Namespace:
    """The command line, the same for every example; ``text`` is the script's docstring."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="local", help="environment with the defaults")
    parser.add_argument("--name", help="endpoint; default: the environment's")
    parser.add_argument("--model", help="catalog.schema.model; default: the environment's")
    parser.add_argument("--version", type=int, help="version; default: the release manifest's")
    parser.add_argument("--workload-type", help="CPU, GPU_SMALL, ...; default: the environment's")
    return parser.parse_args()


def describe(given: argparse.Namespace) -> dict[str, Any]:
    """The body of ``POST /api/2.0/serving-endpoints``."""
    wanted = settings.load(given.env)
    model = given.model or wanted.names.full_model
    shares = {given.version: 100} if given.version else _released(wanted)
    names = {version: f"{model.rpartition('.')[2]}-{version}" for version in shares}
    entities = [
        {
            # Always named, so that a later version is told from this one.
            "name": names[version],
            "entity_name": model,
            "entity_version": str(version),
            "workload_type": given.workload_type or wanted.workload_type,
            "scale_to_zero_enabled": wanted.endpoint.scale_to_zero,
            **_concurrency(wanted),
            **_present({"environment_vars": dict(wanted.endpoint.environment)}),
        }
        for version in shares
    ]
    routes = [
        {"served_model_name": names[version], "traffic_percentage": share}
        for version, share in shares.items()
    ]
    body = {
        "name": given.name or wanted.names.endpoint,
        "config": {"served_entities": entities, "traffic_config": {"routes": routes}},
        "tags": [{"key": key, "value": value} for key, value in sorted(wanted.tags.items())],
        "description": wanted.endpoint.description,
        "budget_policy_id": wanted.endpoint.budget_policy_id,
        "email_notifications": _present(wanted.endpoint.email_notifications.model_dump()),
        "route_optimized": wanted.endpoint.route_optimized,
    }
    return {**_present(body), "ai_gateway": _gateway(wanted, given.name)}


def access(given: argparse.Namespace, creator: str) -> list[dict[str, str]]:
    """The body's list of ``PUT /api/2.0/permissions/serving-endpoints/ID``.

    The call replaces the whole list, so whoever made the endpoint has to be in it.
    """
    levels = settings.load(given.env).endpoint_levels
    entries = [
        *(("group_name", *each) for each in sorted(levels.groups.items())),
        *(("user_name", *each) for each in sorted(levels.users.items())),
        *(("service_principal_name", *each) for each in sorted(levels.service_principals.items())),
    ]
    if entries and creator not in [principal for _, principal, _ in entries]:
        entries.append((_kind(creator), creator, "CAN_MANAGE"))
    return [{kind: principal, "permission_level": level} for kind, principal, level in entries]


def _kind(principal: str) -> str:
    """Service principals go by their application id."""
    try:
        uuid.UUID(principal)
    except ValueError:
        return "user_name"
    return "service_principal_name"


def _released(wanted: Settings) -> dict[int, int]:
    """Version -> percent of the traffic."""
    manifest = release.find(wanted.manifest_path, model=wanted.names.full_model)
    if manifest is None:
        raise SystemExit(f"{wanted.environment}: nothing released yet; give --version")
    return {each.version: each.traffic for each in manifest.served}


def _concurrency(wanted: Settings) -> dict[str, Any]:
    bounds = wanted.endpoint.provisioned_concurrency
    if bounds is None:
        return {"workload_size": wanted.endpoint.workload_size}
    return {
        "min_provisioned_concurrency": bounds.min,
        "max_provisioned_concurrency": bounds.max,
    }


def _gateway(wanted: Settings, name: str | None) -> dict[str, Any]:
    names, gateway = wanted.names, wanted.gateway
    prefix = gateway.inference_table_prefix
    if prefix and name not in (None, names.endpoint):
        # A table is one endpoint's: beside the environment's own, another one has another.
        prefix = re.sub(r"\W", "_", str(name))
    limits = [
        _present({**limit.model_dump(), "renewal_period": "minute"})
        for limit in gateway.rate_limits
    ]
    table = {
        "enabled": True,
        "catalog_name": names.catalog,
        "schema_name": names.schema,
        "table_name_prefix": prefix,
    }
    return {
        # Left out, not disabled: the table's place could not be changed later.
        **({"inference_table_config": table} if prefix else {}),
        **({"usage_tracking_config": {"enabled": True}} if gateway.usage_tracking else {}),
        **({"rate_limits": limits} if limits else {}),
    }


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
