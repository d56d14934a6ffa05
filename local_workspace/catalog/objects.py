"""Making and removing securables: schemas, models, volumes, tables as documents and folders."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from typing import Any

from ..core.errors import already_exists, invalid
from ..core.store import Document
from ..core.workspace import METASTORE_ID, Workspace
from . import securables
from .securables import KINDS, Kind

OPTIONAL = ("comment", "properties", "storage_root", "storage_location", "volume_type")
"""Fields of a body that are kept as they are."""

_NAME = re.compile(r"[^./\s\x00-\x1f\x7f]{1,255}")
_ID_FIELD = {"models": "uuid", "schemas": "schema_id", "volumes": "volume_id", "tables": "table_id"}


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
        securables.get(workspace, above.name, container)
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
    full_name, kind = securables.key(full_name), KINDS["tables"]
    with workspace.store.transaction():
        securables.get(workspace, "schemas", full_name.rpartition(".")[0])
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
        _forget(workspace, kind, securables.key(full_name))


def _forget(workspace: Workspace, kind: Kind, full_name: str) -> None:
    for child, name in securables.children(workspace, kind, full_name):
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
    """The name in a body, in lower case; 400 when it is none."""
    name = fields.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise invalid(
            f"Name {name!r} is not valid: 1 to 255 characters, "
            "no '.', '/', space or control character."
        )
    return securables.key(name)


def container_of(kind: Kind, fields: Mapping[str, Any]) -> str:
    """Full name of the schema or catalog that a body names; 400 without one."""
    parts = ("catalog_name", "schema_name") if kind.parent == "schemas" else ("catalog_name",)
    for part in parts:
        if not isinstance(fields.get(part), str) or not fields[part]:
            raise invalid(f"Missing required field: {part}")
    return securables.key(".".join(fields[part] for part in parts))


def _new_document(workspace: Workspace, kind: Kind, full_name: str, owner: str) -> Document:
    now, parts = workspace.now_ms(), full_name.split(".")
    document: Document = {
        "name": parts[-1],
        "full_name": full_name,
        "catalog_name": parts[0],
        "metastore_id": METASTORE_ID,
        "owner": owner,
        "created_at": now,
        "created_by": owner,
        "updated_at": now,
        "updated_by": owner,
        _ID_FIELD[kind.name]: str(uuid.uuid4()),
    }
    if kind.parent == "schemas":
        document["schema_name"] = parts[1]
    return document
