"""The endpoint and its permissions against the API, field by field."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.endpoint import PLAIN, SIZE, describe, shares
from scgpt_databricks.infra.plan import Json
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings

from ..facts import endpoint_of, is_ready, update_of
from .difference import ABSENT, Difference, compare, missing

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_POLL_SECONDS = 2.0
_REFERENCE = re.compile(r"\{\{.*\}\}")


def await_endpoint(client: WorkspaceClient, settings: Settings) -> None:
    """Wait until the endpoint is ready, or has failed or was cancelled, or its time is up."""
    deadline = time.monotonic() + settings.endpoint.timeout_minutes * 60
    while time.monotonic() < deadline:
        endpoint = endpoint_of(client, settings.names.endpoint)
        if endpoint is None or update_of(endpoint) in ("UPDATE_FAILED", "UPDATE_CANCELED"):
            return
        if is_ready(endpoint) and update_of(endpoint) != "IN_PROGRESS":
            return
        time.sleep(_POLL_SECONDS)


def serving_differences(
    client: WorkspaceClient, settings: Settings, manifest: Manifest
) -> list[Difference]:
    """List the differences of the endpoint from what is declared."""
    resource = f"endpoint {settings.names.endpoint}"
    endpoint = endpoint_of(client, settings.names.endpoint)
    if endpoint is None:
        return [missing(resource)]
    wanted, found = declared(settings, manifest), described(endpoint)
    return [
        *compare(resource, _folded(wanted, found), _folded(found, wanted)),
        *_permissions(client, settings, resource, endpoint),
    ]


def _folded(fields: Json, others: Json) -> dict[str, Any]:
    """The fields, with a line instead of many for a served entity that the other side lacks."""
    suffix = ".entity_name"
    alone = [
        key.removesuffix(suffix) for key in fields if key.endswith(suffix) and key not in others
    ]
    found = {
        key: value
        for key, value in fields.items()
        if not key.startswith(tuple(f"{name}." for name in alone))
    }
    for name in alone:
        version, traffic = fields[f"{name}.entity_version"], fields[f"{name}.traffic"]
        found[name] = f"version {version}, {traffic} %"
    return found


def declared(settings: Settings, manifest: Manifest) -> dict[str, Any]:
    """Return the fields of the endpoint that the environment and its manifest declare."""
    return {"state": "READY", **_fields(describe(settings, manifest))}


def described(endpoint: Json) -> dict[str, Any]:
    """Return the fields of an endpoint that the API shows, in the words of :func:`declared`."""
    return {"state": "READY" if is_ready(endpoint) else "NOT_READY", **_fields(endpoint)}


def _fields(endpoint: Json) -> dict[str, Any]:
    config, gateway = endpoint.get("config") or {}, endpoint.get("ai_gateway") or {}
    table = gateway.get("inference_table_config") or {}
    emails = endpoint.get("email_notifications") or {}
    full = ".".join(
        str(table.get(part)) for part in ("catalog_name", "schema_name", "table_name_prefix")
    )
    fields: dict[str, Any] = {
        **_plain(endpoint, PLAIN),
        **{
            f"email_notifications.{when}": sorted(emails.get(when) or []) or ABSENT
            for when in ("on_update_failure", "on_update_success")
        },
        "inference_table": f"{full}_payload" if table.get("enabled") else ABSENT,
        "usage_tracking": bool((gateway.get("usage_tracking_config") or {}).get("enabled")),
        **{f"tags.{tag['key']}": tag.get("value", "") for tag in endpoint.get("tags") or []},
    }
    for limit in gateway.get("rate_limits") or []:
        name = _limit(limit.get("key", "endpoint"), limit.get("principal"))
        # A limit of tokens may stand beside one of calls; only the latter can be declared.
        if limit.get("tokens"):
            fields[f"{name} in tokens"] = limit["tokens"]
        if limit.get("calls") is not None:
            fields[name] = limit["calls"]
    traffic = shares(config)
    for entity in config.get("served_entities") or []:
        fields |= _entity(entity, traffic[entity["name"]])
    return fields


def _entity(entity: Json, traffic: int) -> dict[str, Any]:
    fields = {
        "entity_name": entity.get("entity_name"),
        "entity_version": entity.get("entity_version"),
        "traffic": traffic,
        **_plain(entity, SIZE),
    }
    return {
        **{f"{entity['name']}.{field}": value for field, value in fields.items()},
        **_variables(entity["name"], entity.get("environment_vars") or {}),
    }


def _plain(found: Json, fields: Json) -> dict[str, Any]:
    """Return plain fields as they are told: an absent one as the platform takes it."""
    return {
        field.removesuffix("_enabled"): found.get(field) or (ABSENT if default is None else default)
        for field, default in fields.items()
    }


def _limit(key: str, principal: str | None) -> str:
    return f"rate_limits.{key}" + (f".{principal}" if principal else "")


def _variables(entity: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Names of variables, and where secrets are referred to. The platform does not give plain
    values back; they could be secrets by mistake, and are never shown.
    """
    return {
        f"{entity}.environment.{name}": value if _REFERENCE.fullmatch(value) else "a plain value"
        for name, value in variables.items()
    }


def _permissions(
    client: WorkspaceClient, settings: Settings, resource: str, endpoint: Json
) -> Iterator[Difference]:
    levels = settings.endpoint_levels
    wanted = {**levels.groups, **levels.users, **levels.service_principals}
    if not wanted:
        return  # no such resource is declared then
    answer = client.permissions.get("serving-endpoints", str(endpoint["id"]))
    held = {
        str(entry.group_name or entry.user_name or entry.service_principal_name): {
            permission.permission_level.value
            for permission in entry.all_permissions or []
            if permission.permission_level and not permission.inherited
        }
        for entry in answer.access_control_list or []
    }
    # Whoever made it, and whoever applies the list, manages it anyway, declared or not.
    managers = {endpoint.get("creator"), client.current_user.me().user_name, "admins"}
    for principal in sorted({*wanted} | ({*held} - managers)):
        has, level = held.get(principal, set()), wanted.get(principal)
        if has != ({level} if level else set()):
            yield Difference(
                resource,
                f"permission of {principal}",
                level or ABSENT,
                ", ".join(sorted(has)) or ABSENT,
            )
