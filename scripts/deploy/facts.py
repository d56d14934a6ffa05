"""Facts of a workspace that the guards need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from scgpt_databricks.infra.guards import (
    Existing,
    Facts,
    Live,
    Reference,
    Version,
    references,
    served_versions,
)
from scgpt_databricks.infra.plan import Json, Plan
from scgpt_databricks.infra.settings import Settings

from ..connection import get_or_none

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.sql import AlertV2


def gather(client: WorkspaceClient, settings: Settings, plans: Iterable[Plan]) -> Facts:
    """Ask the workspace for what the guards need to judge these plans."""
    plans = list(plans)
    me = client.current_user.me()
    served = frozenset(_served_versions(plans))
    models = {settings.names.full_model, *_replaced_models(plans), *(model for model, _ in served)}
    ready = frozenset(version for model in models for version in _ready_versions(client, model))
    tags = {each: version_tags(client, *each) for each in ready & served}
    there = {
        change.address: found
        for plan in plans
        for change in plan.changes
        if change.created and (found := existing(client, change.type, change.after))
    }
    names = {settings.names.endpoint, *_endpoint_names(plans)}
    return Facts(
        versions=ready,
        validated=frozenset(each for each in tags if tags[each].get("validated") == "true"),
        rolled_back={
            each: tags[each]["rolled_back"] for each in tags if "rolled_back" in tags[each]
        },
        existing=there,
        absent=_absent(client, plans),
        sees_all=any(group.display == "admins" for group in me.groups or []),
        deployer=me.user_name,
        declared=settings.deployer,
        endpoints={
            name: Live(is_ready(endpoint), update_of(endpoint) == "IN_PROGRESS", endpoint)
            for name in names
            if (endpoint := endpoint_of(client, name)) is not None
        },
    )


def _absent(client: WorkspaceClient, plans: Iterable[Plan]) -> frozenset[Reference]:
    """Ask for everything that the changes refer to; what cannot be asked for counts as there."""
    from databricks.sdk.errors import DatabricksError, NotFound

    missing = set()
    for reference in {
        reference
        for plan in plans
        for change in plan.changes
        for reference in references.references(change)
    }:
        try:
            there = _ASKED[reference.kind](client, reference.name)
        except NotFound:
            there = False
        except DatabricksError:
            continue
        if not there:
            missing.add(reference)
    return frozenset(missing)


def _equals(attribute: str, name: str) -> str:
    return f'{attribute} eq "{name}"'


_EVERYBODY = ("admins", "users", "account users")
_ASKED: dict[str, Callable[[WorkspaceClient, str], bool]] = {
    "catalog": lambda client, name: bool(client.catalogs.get(name)),
    "group": lambda client, name: (
        name in _EVERYBODY or any(client.groups.list(filter=_equals("displayName", name)))
    ),
    "user": lambda client, name: any(client.users.list(filter=_equals("userName", name))),
    "service principal": lambda client, name: any(
        client.service_principals.list(filter=_equals("applicationId", name))
    ),
    "secret scope": lambda client, name: any(
        scope.name == name for scope in client.secrets.list_scopes()
    ),
    "secret": lambda client, name: any(
        secret.key == name.partition("/")[2]
        for secret in client.secrets.list_secrets(name.partition("/")[0])
    ),
    "warehouse": lambda client, name: bool(client.warehouses.get(name)),
    "notification destination": lambda client, name: any(
        each.id == name for each in client.notification_destinations.list()
    ),
}
"""Kind of a reference -> the question if there is one of that name."""


def endpoint_of(client: WorkspaceClient, name: str) -> dict[str, Any] | None:
    """Return an endpoint as the API describes it: the SDK's classes drop unknown fields."""
    if not name.strip("."):  # no endpoint is called so, and the path would be another
        return None
    return document(client, f"/api/2.0/serving-endpoints/{quote(name, safe='')}")


def document(client: WorkspaceClient, path: str, **query: Any) -> dict[str, Any] | None:
    """Return a document of the API as it is sent; None where there is none."""
    ask = partial(client.api_client.do, "GET", path)
    answer: Any = get_or_none(lambda: ask(query=query) if query else ask())
    return cast("dict[str, Any] | None", answer)


def privileges(client: WorkspaceClient, kind: str, full_name: str) -> dict[str, list[str]]:
    """Return principal -> privileges on one securable; empty where it does not exist.

    The SDK's enumeration lacks CREATE_MODEL_VERSION, and drops what it lacks. `kind` is the
    word of the permissions API, which files models under functions.
    """
    path = f"/api/2.1/unity-catalog/permissions/{kind}/{quote(full_name)}"
    return {
        entry["principal"]: sorted(entry.get("privileges", []))
        for entry in (document(client, path) or {}).get("privilege_assignments", [])
        if entry.get("privileges")
    }


def is_ready(endpoint: Json) -> bool:
    """Return True for an endpoint that answers."""
    return bool(endpoint.get("state", {}).get("ready") == "READY")


def update_of(endpoint: Json) -> str:
    """Return the state of its latest deployment: NOT_UPDATING, IN_PROGRESS, UPDATE_FAILED, ..."""
    return str(endpoint.get("state", {}).get("config_update"))


def live_alerts(client: WorkspaceClient) -> list[AlertV2]:
    """Return the alerts outside the trash, where they are listed for a month."""
    return [
        alert
        for alert in client.alerts_v2.list_alerts()
        if alert.lifecycle_state is None or alert.lifecycle_state.value != "DELETED"
    ]


@dataclass(frozen=True)
class Listed:
    """A type of resource that is looked for in a list, since no call takes its name."""

    named: str
    """Attribute of a plan that holds the name."""
    find: Callable[[WorkspaceClient, str], Iterable[Any]]
    """Return those of one name."""
    id: str
    creator: str | None = None
    """Field of the creator. Without one anybody may take it over: the endpoint's name in its own
    makes it ours."""


def _titled(found: Iterable[Any], name: str) -> list[Any]:
    return [each for each in found if each.display_name == name]


LISTED = {
    "sql_endpoint": Listed(
        "name",
        lambda client, name: [each for each in client.warehouses.list() if each.name == name],
        "id",
        "creator_name",
    ),
    "alert_v2": Listed(
        "display_name",
        lambda client, name: _titled(live_alerts(client), name),
        "id",
        "owner_user_name",
    ),
    "notification_destination": Listed(
        "display_name",
        lambda client, name: _titled(client.notification_destinations.list(), name),
        "id",
    ),
    "dashboard": Listed(
        "display_name",
        lambda client, name: _titled(client.lakeview.list(), name),
        "dashboard_id",
    ),
    "query": Listed(
        "display_name",
        lambda client, name: _titled(client.queries.list(), name),
        "id",
        "owner_user_name",
    ),
    "job": Listed(
        "name", lambda client, name: client.jobs.list(name=name), "job_id", "creator_user_name"
    ),
}


def _ready_versions(client: WorkspaceClient, model: str) -> frozenset[Version]:
    """Return the ready versions of a model in Unity Catalog; other registries count as empty."""
    from databricks.sdk.errors import NotFound
    from databricks.sdk.service.catalog import ModelVersionInfoStatus

    if model.count(".") != 2 or not all(model.split(".")):
        return frozenset()
    try:
        return frozenset(
            (model, version.version)
            for version in client.model_versions.list(quote(model, safe=""))
            if version.version and version.status in (None, ModelVersionInfoStatus.READY)
        )
    except NotFound:
        return frozenset()


def version_tags(client: WorkspaceClient, model: str, version: int) -> dict[str, str]:
    """Return the tags of a version, by which builds and canaries say what they found."""
    answer = client.api_client.do(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/get",
        query={"name": model, "version": str(version)},
    )
    tags = answer["model_version"].get("tags", []) if isinstance(answer, dict) else []
    return {tag["key"]: str(tag.get("value", "")) for tag in tags}


def _served_versions(plans: Iterable[Plan]) -> Iterator[Version]:
    for after in _planned(plans, "model_serving", "after"):
        yield from served_versions(after)


def _endpoint_names(plans: Iterable[Plan]) -> set[str]:
    both = (*_planned(plans, "model_serving", "before"), *_planned(plans, "model_serving", "after"))
    return {str(each["name"]) for each in both if each.get("name")}


def _replaced_models(plans: Iterable[Plan]) -> set[str]:
    return {
        _full_name(before, *_IN_SCHEMA)
        for before in _planned(plans, "registered_model", "before")
        if _says(before, _IN_SCHEMA)
    }


def _planned(plans: Iterable[Plan], kind: str, side: str) -> Iterator[Json]:
    """Resources of one kind, as they are before or after."""
    for plan in plans:
        for change in plan.resources:
            if change.type == f"databricks_{kind}":
                yield change.before if side == "before" else change.after


def existing(client: WorkspaceClient, kind: str, values: Json) -> Existing | None:
    """Find the resource under the name of one that is declared; `kind` is Terraform's type."""
    named, find = _FINDERS.get(kind.removeprefix("databricks_"), ((), None))
    if find is None or not _says(values, named):
        return None  # what gets its name at the apply cannot be looked for
    return get_or_none(lambda: find(client, values))


def _says(values: Json, names: Iterable[str]) -> bool:
    return all(isinstance(values.get(name), str) and values[name] for name in names)


def _full_name(values: Json, *parts: str) -> str:
    return ".".join(values[part] for part in parts)


def _securable(
    get: Callable[[WorkspaceClient, str], Any],
    parts: Sequence[str],
    client: WorkspaceClient,
    after: Json,
) -> Existing:
    name = _full_name(after, *parts)
    return Existing(name, get(client, quote(name, safe="")).created_by)


def _endpoint(client: WorkspaceClient, after: Json) -> Existing | None:
    found = endpoint_of(client, after["name"])
    if found is None:
        return None
    broken = not is_ready(found) and update_of(found) in ("UPDATE_FAILED", "UPDATE_CANCELED")
    return Existing(found["name"], found.get("creator"), broken)


def _experiment(client: WorkspaceClient, after: Json) -> Existing | None:
    found = client.experiments.get_by_name(after["name"]).experiment
    # A build makes it where no deploy did, and nothing is lost by taking it over.
    if found is None or found.lifecycle_stage != "active":
        return None
    return Existing(str(found.experiment_id), None, anyones=True)


def _first(kind: Listed, client: WorkspaceClient, after: Json) -> Existing | None:
    for found in kind.find(client, after[kind.named]):
        creator = getattr(found, kind.creator) if kind.creator else None
        return Existing(str(getattr(found, kind.id)), creator, anyones=kind.creator is None)
    return None


_IN_CATALOG = ("catalog_name", "name")
_IN_SCHEMA = ("catalog_name", "schema_name", "name")
_FINDERS: dict[str, tuple[tuple[str, ...], Callable[[Any, Json], Existing | None]]] = {
    **{
        kind: (parts, partial(_securable, get, parts))
        for kind, parts, get in (
            ("schema", _IN_CATALOG, lambda client, name: client.schemas.get(name)),
            ("volume", _IN_SCHEMA, lambda client, name: client.volumes.read(name)),
            ("registered_model", _IN_SCHEMA, lambda c, name: c.registered_models.get(name)),
        )
    },
    "model_serving": (("name",), _endpoint),
    "mlflow_experiment": (("name",), _experiment),
    **{kind: ((listed.named,), partial(_first, listed)) for kind, listed in LISTED.items()},
}
"""Type -> the attributes that tell which one it is, and how it is looked for."""
