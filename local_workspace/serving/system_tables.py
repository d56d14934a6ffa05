"""``system.serving.served_entities``: which version stood behind an id in an inference table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow

from ..core.store import Document
from ..core.workspace import WORKSPACE_ID, Principal, Workspace
from ..objects import documents
from ..objects.documents import ENDPOINT

pa: Any = pyarrow  # its annotations cover too little to check against

SERVED_ENTITIES = "system.serving.served_entities"

_KIND = "served_entities"
_TIME = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("served_entity_id", "workspace_id", "created_by")),
        *((name, pa.string()) for name in ("endpoint_name", "endpoint_id", "served_entity_name")),
        *((name, pa.string()) for name in ("entity_type", "entity_name", "entity_version")),
        ("endpoint_config_version", pa.int32()),
        ("change_time", _TIME),
        ("endpoint_delete_time", _TIME),
    ]
)


def record(workspace: Workspace, endpoint: Document, config: Document) -> None:
    """Note the entities of a config that is rolled out; kept when the endpoint is deleted."""
    for entity in config["entities"]:
        known = workspace.store.get(_KIND, entity["id"])
        if known is None:
            spec = entity["spec"]
            row = {
                "served_entity_id": entity["id"],
                "workspace_id": WORKSPACE_ID,
                "created_by": entity["creator"],
                "endpoint_name": endpoint["name"],
                "endpoint_id": endpoint["id"],
                "served_entity_name": spec["name"],
                "entity_type": "CUSTOM_MODEL",
                "entity_name": spec["entity_name"],
                "entity_version": spec["entity_version"],
                "endpoint_config_version": config["config_version"],
                "change_time": entity["creation_timestamp"],
            }
            workspace.store.put(_KIND, entity["id"], row)


def record_deletion(workspace: Workspace, endpoint: Document) -> None:
    """Note when an endpoint was deleted."""
    for key, row in workspace.store.items(_KIND):
        if row["endpoint_id"] == endpoint["id"]:
            deleted = {**row, "endpoint_delete_time": workspace.now_ms()}
            workspace.store.put(_KIND, key, deleted)


def served_entities(workspace: Workspace, principal: Principal) -> Any:
    """Return the rows about endpoints that the caller may view; all for an admin."""
    visible = {document["id"] for document in documents.visible(workspace, principal, ENDPOINT)}
    rows = [
        {**row, **{name: _time(row.get(name)) for name in ("change_time", "endpoint_delete_time")}}
        for _, row in workspace.store.items(_KIND)
        if principal.is_admin or row["endpoint_id"] in visible
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
