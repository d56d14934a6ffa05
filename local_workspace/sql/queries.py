"""Saved queries: ``/api/2.0/sql/queries``. They are kept, and run by whoever opens them."""

from __future__ import annotations

import uuid
from typing import Any

from ..core.errors import already_exists, invalid
from ..core.routing import Call, Routes, page
from ..core.store import Document
from ..core.workspace import time_text
from ..objects import documents, folders
from ..objects.documents import QUERY
from . import warehouses

routes = Routes()

_BASE = "/api/2.0/sql/queries"
_ONE = f"{_BASE}/{{id}}"
_NEEDED = ("display_name", "query_text", "warehouse_id")
_FIELDS = (
    *_NEEDED,
    *("apply_auto_limit", "catalog", "description", "parameters", "run_as_mode", "schema", "tags"),
)
_PREFIX = "/Workspace"


@routes.add("POST", _BASE)
async def create(call: Call) -> dict[str, Any]:
    given = _given(call)
    home = f"/Users/{call.principal.name}"
    parent = folders.require(call.workspace, given.get("parent_path") or home)
    document: Document = {
        "id": str(uuid.uuid4()),
        "owner": call.principal.name,
        "created_at": call.workspace.now_ms(),
        "parent_path": folders.writable(call.principal, parent),
        "query": {"run_as_mode": "OWNER", **_content(given)},
    }
    return _kept(call, document)


@routes.add("GET", _BASE)
async def list_all(call: Call) -> dict[str, Any]:
    visible = documents.visible(call.workspace, call.principal, QUERY)
    found, more = page(visible, call.query, limit="page_size")
    return {"results": [_view(document) for document in found], **more}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return _view(documents.called(call, QUERY, "CAN_READ"))


@routes.add("PATCH", _ONE)
async def update(call: Call) -> dict[str, Any]:
    """Set the fields that ``update_mask`` names; those that the body lacks are cleared."""
    found, given = documents.called(call, QUERY, "CAN_EDIT"), _given(call)
    named = [name for name in str(call.body.get("update_mask", "")).split(",") if name]
    allowed = (*_FIELDS, "owner_user_name")
    if unknown := [name for name in named if name not in allowed]:
        raise invalid(f"update_mask names {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    sent = _content(given)
    kept = {name: value for name, value in found["query"].items() if name not in named}
    query = kept | {name: sent[name] for name in named if name in sent}
    return _kept(call, found | {"query": query})


@routes.add("DELETE", _ONE)
async def trash(call: Call) -> dict[str, Any]:
    """A trashed query is not shown; nothing here brings it back."""
    documents.delete(call.workspace, QUERY, documents.called(call, QUERY, "CAN_MANAGE")["id"])
    return {}


def _given(call: Call) -> Document:
    query = call.body.get("query")
    if not isinstance(query, dict):
        raise invalid("Missing required field: query")
    return query


def _content(query: Document) -> Document:
    return {name: query[name] for name in _FIELDS if query.get(name) not in (None, "", [])}


def _kept(call: Call, document: Document) -> dict[str, Any]:
    """Check and store a query; return it as the API answers it."""
    query = document["query"]
    for name in _NEEDED:
        if not query.get(name):
            raise invalid(f"Missing required field: query.{name}")
    warehouses.use(call.workspace, call.principal, query["warehouse_id"])
    for key, other in call.workspace.store.items(QUERY.name):
        if key != document["id"] and _place(other) == _place(document):
            raise already_exists(f"Node named '{query['display_name']}' already exists: {key}.")
    document |= {"updated_at": call.workspace.now_ms(), "modifier": call.principal.name}
    documents.put(call.workspace, QUERY, document["id"], document)
    return _view(document)


def _place(document: Document) -> tuple[str, str]:
    return document["parent_path"], document["query"]["display_name"]


def _view(document: Document) -> dict[str, Any]:
    return {
        **document["query"],
        "id": document["id"],
        "parent_path": f"{_PREFIX}{document['parent_path']}",
        "create_time": time_text(document["created_at"]),
        "update_time": time_text(document["updated_at"]),
        "lifecycle_state": "ACTIVE",
        "owner_user_name": document["owner"],
        "last_modifier_user_name": document["modifier"],
    }
