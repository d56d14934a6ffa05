"""The objects of Unity Catalog: their kinds; how they are made, looked up and removed.

A securable is one document; its kind is the collection's name in the URL (``schemas``), its key the
lower-case full name (``main.scgpt``). Catalog routes, grants, registry and files all read them
through this module.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import already_exists, invalid, not_found
from ..core.store import Document
from ..core.workspace import Workspace, stamps

OPTIONAL = ("comment", "properties", "storage_root", "storage_location", "volume_type")
"""Fields of a body that are kept as they are."""

_NAME = re.compile(r"[^./ \x00-\x1f\x7f]{1,255}")
_ID_FIELD = {"models": "uuid", "schemas": "schema_id", "volumes": "volume_id", "tables": "table_id"}


@dataclass(frozen=True)
class Kind:
    """One kind of securable.

    Parameters
    ----------
    name
        Collection in the URL and kind in the store.
    title
        How messages call one of them.
    parent
        Kind of the container; ``None`` for catalogs.
    wire_types
        Names of the kind in permission URLs, lower-case; the first one is answered.
    usage
        The privilege that reading it needs; of a container also every access to something inside.
    create
        Privilege on the parent that creation needs.
    privileges
        Privileges that can be granted on it, besides ``ALL_PRIVILEGES`` and ``MANAGE``.
    """

    name: str
    title: str
    parent: str | None
    wire_types: tuple[str, ...]
    usage: str
    create: str
    privileges: frozenset[str]


_TABLE = frozenset({"SELECT", "MODIFY", "APPLY_TAG"})
_VOLUME = frozenset({"READ_VOLUME", "WRITE_VOLUME", "APPLY_TAG"})
_MODEL = frozenset({"EXECUTE", "CREATE_MODEL_VERSION", "APPLY_TAG"})
_SCHEMA = (
    _TABLE
    | _VOLUME
    | _MODEL
    | {"USE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME", "CREATE_MODEL", "CREATE_FUNCTION"}
)
_CATALOG = _SCHEMA | {"USE_CATALOG", "CREATE_SCHEMA", "BROWSE"}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("catalogs", "Catalog", None, ("catalog",), "USE_CATALOG", "CREATE_CATALOG", _CATALOG),
        Kind("schemas", "Schema", "catalogs", ("schema",), "USE_SCHEMA", "CREATE_SCHEMA", _SCHEMA),
        Kind(
            "models",
            "Registered model",
            "schemas",
            ("function", "registered_model"),
            "EXECUTE",
            "CREATE_MODEL",
            _MODEL,
        ),
        Kind("volumes", "Volume", "schemas", ("volume",), "READ_VOLUME", "CREATE_VOLUME", _VOLUME),
        Kind("tables", "Table", "schemas", ("table",), "SELECT", "CREATE_TABLE", _TABLE),
    )
}


def key(full_name: str) -> str:
    """Unity Catalog compares names without case and keeps them in lower case."""
    return full_name.lower()


def kind_of_wire_type(wire_type: str) -> Kind:
    """Return the kind that a permission URL names; ``FUNCTION`` is a registered model.

    Raises
    ------
    ApiError
        400 for any other type.
    """
    for kind in KINDS.values():
        if wire_type.lower() in kind.wire_types:
            return kind
    known = ", ".join(name for kind in KINDS.values() for name in kind.wire_types)
    raise invalid(f"Securable type {wire_type!r} is not one of: {known}")


def get(workspace: Workspace, kind_name: str, full_name: str) -> Document:
    """Return the document of a securable.

    Raises
    ------
    ApiError
        404 when it, or the name of a parent, does not exist.
    """
    kind = KINDS[kind_name]
    document = workspace.store.get(kind_name, key(full_name))
    if document is not None:
        return document
    above = parent(kind, full_name)
    if above is not None and all(full_name.split(".")):
        get(workspace, above[0].name, above[1])
    raise not_found(f"{kind.title} '{full_name}' does not exist.")


def parent(kind: Kind, full_name: str) -> tuple[Kind, str] | None:
    """Return the kind and full name of the container."""
    if kind.parent is None:
        return None
    return KINDS[kind.parent], full_name.rpartition(".")[0]


def chain(kind: Kind, full_name: str) -> list[tuple[Kind, str]]:
    """Return the securable and its containers, innermost first."""
    links = [(kind, full_name)]
    while (above := parent(*links[-1])) is not None:
        links.append(above)
    return links


def children(workspace: Workspace, kind: Kind, full_name: str) -> list[tuple[Kind, str]]:
    """Return the schemas of a catalog, or the models, volumes and tables of a schema."""
    return [
        (child, name)
        for child in KINDS.values()
        if child.parent == kind.name
        for name, _ in workspace.store.items(child.name, key(full_name) + ".")
    ]


def create_securable(
    workspace: Workspace, kind: Kind, owner: str, fields: Mapping[str, Any]
) -> Document:
    """Create a schema, model or volume; `fields` as in the body of the API call.

    Raises
    ------
    ApiError
        400 for a bad name or one that is taken, 404 when the container does not exist.
    """
    name, container = checked_name(fields), container_of(kind, fields)
    full_name = f"{container}.{name}"
    above = KINDS[str(kind.parent)]
    with workspace.store.transaction():
        get(workspace, above.name, container)
        if workspace.store.get(kind.name, full_name) is not None:
            raise already_exists(f"{kind.title} '{full_name}' already exists")
        document = _new_document(workspace, kind, full_name, owner)
        document.update({key: fields[key] for key in OPTIONAL if fields.get(key)})
        workspace.store.put(kind.name, full_name, document)
    return document


def register_table(
    workspace: Workspace,
    full_name: str,
    *,
    owner: str,
    columns: list[dict[str, Any]],
    storage_location: str,
    properties: dict[str, str] | None = None,
) -> Document:
    """Enter a managed Delta table that the service itself made, for example an inference table.

    Parameters
    ----------
    columns
        Entries of the API's ``columns``: name, type_text, type_name, position, nullable.

    Raises
    ------
    ApiError
        400 when the name is taken, 404 when the schema does not exist.
    """
    full_name, kind = key(full_name), KINDS["tables"]
    with workspace.store.transaction():
        get(workspace, "schemas", full_name.rpartition(".")[0])
        if workspace.store.get("tables", full_name) is not None:
            raise already_exists(f"Table '{full_name}' already exists")
        document = _new_document(workspace, kind, full_name, owner) | {
            "table_type": "MANAGED",
            "data_source_format": "DELTA",
            "columns": columns,
            "storage_location": storage_location,
            "properties": properties or {},
        }
        workspace.store.put("tables", full_name, document)
    return document


def delete_securable(workspace: Workspace, kind: Kind, full_name: str) -> None:
    """Remove a securable with everything inside, its grants and its files."""
    with workspace.store.transaction():
        _forget(workspace, kind, key(full_name))


def _forget(workspace: Workspace, kind: Kind, full_name: str) -> None:
    for child, name in children(workspace, kind, full_name):
        _forget(workspace, child, name)
    if kind.name == "models":
        for version, _ in workspace.store.items("versions", f"{full_name}/"):
            workspace.store.delete("versions", version)
    workspace.store.delete("grants", f"{kind.name}/{full_name}")
    workspace.store.delete(kind.name, full_name)
    folders = {
        "models": workspace.files / "Models" / full_name.replace(".", "/"),
        "volumes": workspace.files / "Volumes" / full_name.replace(".", "/"),
        "tables": workspace.tables / full_name,
    }
    if kind.name in folders:
        shutil.rmtree(folders[kind.name], ignore_errors=True)


def checked_name(fields: Mapping[str, Any]) -> str:
    """Return the name in a body, in lower case; 400 when it is none."""
    name = fields.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or len(name.encode()) > 255:
        raise invalid(
            f"Name {name!r} is not valid: 1 to 255 characters, here also at most 255 bytes, "
            "no '.', '/', space or control character."
        )
    return key(name)


def container_of(kind: Kind, fields: Mapping[str, Any]) -> str:
    """Return the full name of the schema or catalog that a body names; 400 without one."""
    parts = ("catalog_name", "schema_name") if kind.parent == "schemas" else ("catalog_name",)
    for part in parts:
        if not isinstance(fields.get(part), str) or not fields[part]:
            raise invalid(f"Missing required field: {part}")
    return key(".".join(fields[part] for part in parts))


def _new_document(workspace: Workspace, kind: Kind, full_name: str, owner: str) -> Document:
    parts = full_name.split(".")
    document: Document = {
        "name": parts[-1],
        "full_name": full_name,
        "catalog_name": parts[0],
        **stamps(owner, workspace.now_ms()),
        _ID_FIELD[kind.name]: str(uuid.uuid4()),
    }
    if kind.parent == "schemas":
        document["schema_name"] = parts[1]
    return document
