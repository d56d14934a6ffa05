"""Does the workspace hold what was deployed? Asked of its API, because a plan does not tell.

After a failed update the provider may believe that it was done, and then plans no change for ever;
what somebody removed in the workspace is often invisible to it as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infra.guards import Facts
from infra.release import Manifest
from infra.settings import Settings

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.serving import ServingEndpointDetailed

_POLL_SECONDS = 2.0


def facts(client: WorkspaceClient, settings: Settings) -> Facts:
    """What the guards need to know of the workspace."""
    from databricks.sdk.errors import NotFound
    from databricks.sdk.service.catalog import ModelVersionInfoStatus

    try:
        versions = frozenset(
            version.version
            for version in client.model_versions.list(settings.names.full_model)
            if version.version and version.status in (None, ModelVersionInfoStatus.READY)
        )
    except NotFound:
        versions = frozenset()
    try:
        endpoint = client.serving_endpoints.get(settings.names.endpoint)
    except NotFound:
        return Facts(versions=versions)
    return Facts(
        versions=versions,
        endpoint_ready=_is_ready(endpoint),
        endpoint_updating=_is_updating(endpoint),
    )


def registry_differences(client: WorkspaceClient, settings: Settings) -> list[str]:
    """What of schema, volume, model and grants is missing; empty when all is there."""
    names = settings.names
    wanted: list[tuple[str, str, Callable[[], object]]] = [
        ("schema", names.full_schema, lambda: client.schemas.get(names.full_schema)),
        ("volume", names.full_volume, lambda: client.volumes.read(names.full_volume)),
        ("model", names.full_model, lambda: client.registered_models.get(names.full_model)),
    ]
    missing = [f"{kind} {name} does not exist" for kind, name, get in wanted if not _exists(get)]
    if missing:
        return missing
    grants = settings.grants
    return [
        *_grants(client, "schema", names.full_schema, {g.principal: g.schema_ for g in grants}),
        *_grants(client, "volume", names.full_volume, {g.principal: g.volume for g in grants}),
        # Unity Catalog files models under functions.
        *_grants(client, "function", names.full_model, {g.principal: g.model for g in grants}),
    ]


def serving_differences(
    client: WorkspaceClient, settings: Settings, manifest: Manifest
) -> list[str]:
    """Where the endpoint is not as deployed; waits until it is ready or its time is up."""
    from databricks.sdk.errors import NotFound

    try:
        endpoint = _settled(client, settings)
    except NotFound:
        return [f"endpoint {settings.names.endpoint} does not exist"]
    found = _describe(endpoint)
    return [
        f"endpoint {settings.names.endpoint}: {what} is {found[what]!r}, deployed was {value!r}"
        for what, value in _wanted(settings, manifest).items()
        if found[what] != value
    ] + list(_permissions(client, settings, str(endpoint.id)))


def _settled(client: WorkspaceClient, settings: Settings) -> ServingEndpointDetailed:
    deadline = time.monotonic() + settings.endpoint.timeout_minutes * 60
    while True:
        endpoint = client.serving_endpoints.get(settings.names.endpoint)
        if not _is_updating(endpoint) and (_is_ready(endpoint) or time.monotonic() > deadline):
            return endpoint
        time.sleep(_POLL_SECONDS)


def _is_ready(endpoint: ServingEndpointDetailed) -> bool:
    ready = endpoint.state.ready if endpoint.state else None
    return ready is not None and ready.value == "READY"


def _is_updating(endpoint: ServingEndpointDetailed) -> bool:
    update = endpoint.state.config_update if endpoint.state else None
    return update is not None and update.value == "IN_PROGRESS"


def _wanted(settings: Settings, manifest: Manifest) -> dict[str, Any]:
    names, gateway = settings.names, settings.gateway
    return {
        "state": "READY",
        "served": {names.served_entity(s.version): str(s.version) for s in manifest.served},
        "traffic": {names.served_entity(s.version): s.traffic for s in manifest.served},
        "inference table": names.inference_table,
        "usage tracking": gateway.usage_tracking,
        "rate limits": {limit.key: limit.calls for limit in gateway.rate_limits},
        "tags": dict(settings.tags),
    }


def _describe(endpoint: ServingEndpointDetailed) -> dict[str, Any]:
    """The endpoint in the words of :func:`_wanted`."""
    config, gateway = endpoint.config, endpoint.ai_gateway
    routes = config.traffic_config.routes if config and config.traffic_config else None
    table = gateway.inference_table_config if gateway else None
    usage = gateway.usage_tracking_config if gateway else None
    prefix = f"{table.catalog_name}.{table.schema_name}.{table.table_name_prefix}" if table else ""
    return {
        "state": "READY" if _is_ready(endpoint) else "NOT_READY",
        "served": {e.name: e.entity_version for e in (config and config.served_entities) or []},
        "traffic": {
            r.served_model_name or r.served_entity_name: r.traffic_percentage for r in routes or []
        },
        "inference table": f"{prefix}_payload" if table and table.enabled else None,
        "usage tracking": bool(usage and usage.enabled),
        "rate limits": {
            limit.key.value if limit.key else "endpoint": limit.calls
            for limit in (gateway and gateway.rate_limits) or []
        },
        "tags": {tag.key: tag.value or "" for tag in endpoint.tags or []},
    }


def _permissions(client: WorkspaceClient, settings: Settings, endpoint_id: str) -> Iterator[str]:
    levels = settings.permissions
    wanted = {**levels.groups, **levels.users, **levels.service_principals}
    if not wanted:
        return
    answer = client.permissions.get("serving-endpoints", endpoint_id)
    held = {
        entry.group_name or entry.user_name or entry.service_principal_name: {
            permission.permission_level.value
            for permission in entry.all_permissions or []
            if permission.permission_level
        }
        for entry in answer.access_control_list or []
    }
    for principal, level in wanted.items():
        if level not in held.get(principal, set()):
            yield f"endpoint {settings.names.endpoint}: {principal} does not have {level}"


def _exists(get: Callable[[], object]) -> bool:
    from databricks.sdk.errors import NotFound

    try:
        get()
    except NotFound:
        return False
    return True


def _grants(
    client: WorkspaceClient, kind: str, name: str, wanted: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    answer = client.grants.get(kind, name)
    held = {
        assignment.principal: {privilege.value for privilege in assignment.privileges or []}
        for assignment in answer.privilege_assignments or []
    }
    for principal, privileges in wanted.items():
        if lacking := sorted(set(privileges) - held.get(principal, set())):
            yield f"{kind} {name}: {principal} does not have {', '.join(lacking)}"
