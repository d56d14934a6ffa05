"""Unity Catalog's own API, ``/api/2.1/unity-catalog``: one set of handlers for all kinds.

Versions, aliases and tags of registered models are in :mod:`.model_api`, grants in :mod:`.grants`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.errors import ApiError, already_exists, invalid
from ..core.routing import Call, Routes, page
from ..core.store import Document
from ..core.workspace import Workspace
from ..identity.principals import catalog_document, check_known
from . import access, securables, versions
from .securables import (
    KINDS,
    OPTIONAL,
    Kind,
    checked_name,
    container_of,
    create_securable,
    delete_securable,
)

routes = Routes()

BASE = "/api/2.1/unity-catalog"

_LIST_KEY = {"models": "registered_models"}
_MANAGED = {"models": "Models", "volumes": "Volumes"}
_INTERNAL = {"models": ("aliases", "tags", "uuid"), "tables": ()}


def _wire(kind: Kind, document: Document, query: Mapping[str, str]) -> dict[str, Any]:
    answer = {k: v for k, v in document.items() if k not in _INTERNAL.get(kind.name, ())}
    if kind.name in _MANAGED:
        place = f"dbfs:/{_MANAGED[kind.name]}/{document['full_name'].replace('.', '/')}"
        answer.setdefault("storage_location", place)
    if kind.name == "models":
        answer |= versions.enriched(document, query)
    return answer


def _may_create(kind: Kind, call: Call) -> None:
    if kind.parent is None:
        access.admin(call)
        return
    container = container_of(kind, call.body)
    access.require(call.workspace, call.principal, kind.parent, container, kind.create)


async def _create(kind: Kind, call: Call) -> dict[str, Any]:
    if kind.name == "catalogs":
        return _create_catalog(call)
    fields = dict(call.body)
    if kind.name == "volumes" and fields.setdefault("volume_type", "MANAGED") != "MANAGED":
        raise invalid(
            f"volume_type {fields['volume_type']!r}: the local workspace has MANAGED volumes only."
        )
    document = create_securable(call.workspace, kind, call.principal.name, fields)
    if kind.name == "models" and fields.get("tags"):
        document["tags"] = versions.tags_of(fields)
        call.workspace.store.put("models", document["full_name"], document)
    if kind.name == "volumes":
        folder = call.workspace.files / "Volumes" / document["full_name"].replace(".", "/")
        folder.mkdir(parents=True, exist_ok=True)
    return _wire(kind, document, call.query)


def _create_catalog(call: Call) -> dict[str, Any]:
    """A new catalog comes with a schema `default`, which the Terraform provider deletes at once."""
    workspace, name = call.workspace, checked_name(call.body)
    with workspace.store.transaction():
        if workspace.store.get("catalogs", name) is not None:
            raise already_exists(f"Catalog '{name}' already exists")
        owner = call.principal.name
        document = catalog_document(workspace, name, owner, workspace.now_ms())
        document.update({key: call.body[key] for key in OPTIONAL if call.body.get(key)})
        workspace.store.put("catalogs", name, document)
        default = {"name": "default", "catalog_name": name}
        create_securable(workspace, KINDS["schemas"], owner, default)
    return document


async def _get(kind: Kind, call: Call) -> dict[str, Any]:
    return _wire(
        kind, securables.get(call.workspace, kind.name, call.path["full_name"]), call.query
    )


async def _list(kind: Kind, call: Call) -> dict[str, Any]:
    """List the objects that the caller can read, in the container that the call names."""
    query, prefix = call.query, ""
    if "catalog_name" in query and kind.parent is not None:
        container = query["catalog_name"]
        if kind.parent == "schemas" and "schema_name" in query:
            container += f".{query['schema_name']}"
        above = "schemas" if "." in container else "catalogs"
        securables.get(call.workspace, above, container)
        prefix = securables.key(container) + "."
    visible = [
        _wire(kind, document, query)
        for name, document in call.workspace.store.items(kind.name, prefix)
        if access.allows(call.workspace, call.principal, kind.name, name, kind.usage, access.OWN)
    ]
    found, more = page(visible, query)
    return {_LIST_KEY.get(kind.name, kind.name): found, **more}


async def _update(kind: Kind, call: Call) -> dict[str, Any]:
    """Owner, comment, properties; a volume's name. Clients repeat fields that they do not change:
    those are ignored.
    """
    workspace, full_name = call.workspace, securables.key(call.path["full_name"])
    changes = {
        key: call.body[key]
        for key in ("owner", "comment", "properties", "isolation_mode")
        if key in call.body
    }
    if changes.get("owner"):
        check_known(workspace, changes["owner"])
    with workspace.store.transaction():
        document = securables.get(workspace, kind.name, full_name) | changes
        document = {key: value for key, value in document.items() if value != ""}
        document |= {"updated_at": workspace.now_ms(), "updated_by": call.principal.name}
        workspace.store.put(kind.name, full_name, document)
        if call.body.get("new_name"):
            document = _rename(workspace, kind, full_name, str(call.body["new_name"]))
    return _wire(kind, document, call.query)


def _rename(workspace: Workspace, kind: Kind, full_name: str, new_name: str) -> Document:
    if kind.name != "volumes":
        raise invalid(f"{kind.title} '{full_name}' cannot be renamed: only volumes can, here.")
    store, name = workspace.store, checked_name({"name": new_name})
    target = f"{full_name.rpartition('.')[0]}.{name}"
    if store.get(kind.name, target) is not None:
        raise already_exists(f"{kind.title} '{target}' already exists")
    document = securables.get(workspace, kind.name, full_name)
    document |= {"name": name, "full_name": target}
    store.put(kind.name, target, document)
    store.delete(kind.name, full_name)
    grants = store.get("grants", f"{kind.name}/{full_name}")
    if grants is not None:
        store.put("grants", f"{kind.name}/{target}", grants)
        store.delete("grants", f"{kind.name}/{full_name}")
    root = workspace.files / "Volumes"
    (root / full_name.replace(".", "/")).rename(root / target.replace(".", "/"))
    return document


async def _delete(kind: Kind, call: Call) -> dict[str, Any]:
    full_name = call.path["full_name"]
    inside = securables.children(call.workspace, kind, full_name)
    if inside and call.query.get("force") != "true":
        names = ", ".join(name for _, name in inside[:5])
        raise ApiError(
            400,
            "INVALID_STATE",
            f"{kind.title} '{full_name}' is not empty. It holds {len(inside)} object(s): {names}. "
            "Delete them first, or use force.",
        )
    delete_securable(call.workspace, kind, full_name)
    return {}


@routes.add("GET", f"{BASE}/tables/{{full_name}}/exists")
async def table_exists(call: Call) -> dict[str, Any]:
    full_name = call.path["full_name"]
    schema = full_name.rpartition(".")[0]
    access.require(call.workspace, call.principal, "schemas", schema, "USE_SCHEMA")
    found = call.workspace.store.get("tables", securables.key(full_name))
    return {"table_exists": found is not None}


def _register(kind: Kind) -> None:
    collection, one = f"{BASE}/{kind.name}", f"{BASE}/{kind.name}/{{full_name}}"
    read = access.on(kind.name, "full_name", kind.usage, access.OWN)
    own = access.on(kind.name, "full_name", access.OWN)
    if kind.name != "tables":  # tables come from SQL and from the service itself
        routes.add("POST", collection, rule=partial(_may_create, kind))(partial(_create, kind))
    routes.add("GET", collection)(partial(_list, kind))
    routes.add("GET", one, rule=read)(partial(_get, kind))
    routes.add("PATCH", one, rule=own)(partial(_update, kind))
    routes.add("DELETE", one, rule=own)(partial(_delete, kind))


for _kind in KINDS.values():
    _register(_kind)
