"""Find what a workspace holds around one endpoint, as its API tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.endpoint import shares
from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.naming import Names
from scgpt_databricks.infra.release import MOST_SERVED

from ..deploy.facts import document, privileges

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_SERVING = "/api/2.0/serving-endpoints"
_LEVELS = ("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE")


@dataclass(frozen=True)
class Found:
    """An endpoint and what belongs to it.

    The documents are kept as the API gave them: the SDK's types drop fields and values that are
    newer than the SDK.
    """

    host: str
    caller: str
    endpoint: Mapping[str, Any]
    access: tuple[tuple[str, str, str], ...]
    """(``groups`` | ``users`` | ``service_principals``, principal, level), given directly."""
    versions: Mapping[int, Mapping[str, Any]]
    """The served versions, as the registry has them."""

    @property
    def entities(self) -> list[dict[str, Any]]:
        """The served entities."""
        found: list[dict[str, Any]] = self.endpoint["config"]["served_entities"]
        return found

    @property
    def model(self) -> tuple[str, str, str]:
        """Catalog, schema and name of the model that is served."""
        catalog, schema, name = str(self.entities[0]["entity_name"]).split(".")
        return catalog, schema, name

    @property
    def own_access(self) -> tuple[str, str, str] | None:
        """The caller's own entry."""
        return next((each for each in self.access if each[1] == self.caller), None)

    def traffic(self, entity: str) -> int:
        """Percent of the requests that go to a served entity."""
        config = self.endpoint["config"]
        routed = config.get("traffic_config", {}).get("routes")
        return shares(config).get(entity, 0) if routed else 100


def look(client: WorkspaceClient, name: str) -> Found:
    """Read an endpoint and everything that its adoption needs to know.

    Raises
    ------
    DeployError
        When there is no such endpoint, or it is being updated.
    RefusedError
        When it is of a kind that the stacks cannot describe; lists every reason.
    """
    endpoint = document(client, f"{_SERVING}/{name}")
    if endpoint is None:
        known = ", ".join(sorted(str(e.name) for e in client.serving_endpoints.list()))
        raise DeployError(
            f"no endpoint {name!r} in {client.config.host}; there are: {known or 'none'}"
        )
    if endpoint.get("state", {}).get("config_update") == "IN_PROGRESS":
        raise DeployError(f"endpoint {name!r} is being updated: adopt it when that is over")
    if reasons := _reasons_against(endpoint):
        raise RefusedError("\n  ".join([f"{name} cannot be described by the stacks:", *reasons]))
    caller = str(client.current_user.me().user_name)
    return Found(
        host=str(client.config.host),
        caller=caller,
        endpoint=endpoint,
        access=tuple(_access(client, str(endpoint["id"]), caller)),
        versions=dict(_versions(client, endpoint)),
    )


def grants(client: WorkspaceClient, names: Names) -> dict[str, dict[str, list[str]]]:
    """Privileges that were granted directly: kind of securable -> principal -> privileges."""
    return {
        "schema": privileges(client, "schema", names.full_schema),
        "model": privileges(client, "function", names.full_model),
        "volume": privileges(client, "volume", names.full_volume),
        "checkpoints_volume": privileges(client, "volume", names.full_checkpoints_volume),
    }


def _reasons_against(endpoint: Mapping[str, Any]) -> list[str]:
    entities = endpoint.get("config", {}).get("served_entities", [])
    if not entities:
        return ["it serves nothing yet: wait for its first deployment, or delete it"]
    foreign = [
        f"{entity.get('name')}: not a version of a model in Unity Catalog; keep it in an endpoint "
        "of its own"
        for entity in entities
        if str(entity.get("entity_name", "")).count(".") != 2
        or not str(entity.get("entity_version", "")).isdecimal()
    ]
    models = sorted({str(entity.get("entity_name")) for entity in entities})
    if len(models) > 1:
        foreign.append(
            f"it serves several models ({', '.join(models)}): one environment has one model; "
            "split the endpoint"
        )
    versions = [entity.get("entity_version") for entity in entities]
    if len(versions) > MOST_SERVED:
        foreign.append(
            f"it serves {len(versions)} versions, and a release has at most {MOST_SERVED}: remove "
            "those without traffic"
        )
    if twice := sorted({str(v) for v in versions if versions.count(v) > 1}):
        foreign.append(f"version {', '.join(twice)} is served twice: remove one of the entities")
    table = endpoint.get("ai_gateway", {}).get("inference_table_config", {})
    place = f"{table.get('catalog_name')}.{table.get('schema_name')}"
    if table.get("enabled") and not foreign and not models[0].startswith(f"{place}."):
        foreign.append(
            f"its inference table lies in {place}, the model in {models[0].rpartition('.')[0]}: "
            "turn the table off by API, and on again after the adoption"
        )
    return foreign


def _access(client: WorkspaceClient, endpoint_id: str, caller: str) -> list[tuple[str, str, str]]:
    """The direct entries, the caller's too: a deploy by somebody else would take it away.

    Where it is the only one there is no list to declare: the provider does not see the caller's.
    """
    found = []
    answer = document(client, f"/api/2.0/permissions/serving-endpoints/{endpoint_id}") or {}
    kinds = {
        "group_name": "groups",
        "user_name": "users",
        "service_principal_name": "service_principals",
    }
    for entry in answer.get("access_control_list", []):
        key = next(key for key in kinds if key in entry)
        direct = [
            permission["permission_level"]
            for permission in entry.get("all_permissions", [])
            if not permission.get("inherited")
        ]
        if direct and entry[key] != "admins":
            found.append((kinds[key], str(entry[key]), max(direct, key=_LEVELS.index)))
    return found if {principal for _, principal, _ in found} - {caller} else []


def _versions(
    client: WorkspaceClient, endpoint: Mapping[str, Any]
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    for entity in endpoint["config"]["served_entities"]:
        path = "/api/2.0/mlflow/unity-catalog/model-versions/get"
        version = int(entity["entity_version"])
        answer = document(client, path, name=entity["entity_name"], version=str(version)) or {}
        yield version, answer.get("model_version", {})
