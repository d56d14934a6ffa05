"""Lakeview dashboards: ``/api/2.0/lakeview/dashboards``.

A draft with an etag that changes whenever the draft does, and beside it what was published last.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from ..core.errors import already_exists, conflict, invalid, not_found
from ..core.routing import Call, Routes, page
from ..core.store import Document
from ..core.workspace import time_text
from . import documents, folders
from .documents import DASHBOARD

routes = Routes()

_BASE = "/api/2.0/lakeview/dashboards"
_ONE = f"{_BASE}/{{id}}"
_FIELDS = ("display_name", "warehouse_id", "serialized_dashboard")
_FIRST_ETAG = 80_000_000
_SUFFIX = ".lvdash.json"


@routes.add("POST", _BASE)
async def create(call: Call) -> dict[str, Any]:
    home = f"/Users/{call.principal.name}"
    parent = folders.require(call.workspace, call.body.get("parent_path") or home)
    folders.writable(call.principal, parent)
    document: Document = {
        "id": uuid.uuid4().hex,
        "owner": call.principal.name,
        "created_at": call.workspace.now_ms(),
        "updated_at": call.workspace.now_ms(),
        "parent_path": parent,
        "etag": _FIRST_ETAG,
        "lifecycle_state": "ACTIVE",
        "display_name": call.need("display_name"),
        **_content(call),
    }
    _check_name(call, document)
    documents.put(call.workspace, DASHBOARD, document["id"], document)
    return _view(document)


@routes.add("GET", _BASE)
async def list_all(call: Call) -> dict[str, Any]:
    trashed = call.query.get("show_trashed", "").lower() == "true"
    entries = [
        {key: value for key, value in _view(document).items() if key != "serialized_dashboard"}
        for document in documents.visible(call.workspace, call.principal, DASHBOARD)
        if trashed or document["lifecycle_state"] == "ACTIVE"
    ]
    found, more = page(entries, call.query, limit="page_size")
    return {"dashboards": found, **more}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return _view(documents.called(call, DASHBOARD, "CAN_READ"))


@routes.add("PATCH", _ONE)
async def update(call: Call) -> dict[str, Any]:
    """Change what the body carries; with an etag only if nobody else has changed it since."""
    found = _active(call, "CAN_EDIT")
    sent = call.body.get("etag")
    if sent and sent != str(found["etag"]):
        raise conflict(
            f"Dashboard {found['id']} was changed by somebody else: its etag is "
            f"{found['etag']}, not {sent}. Read it again."
        )
    found |= {"display_name": call.body.get("display_name") or found["display_name"]}
    found |= _content(call)
    found |= {"etag": found["etag"] + 1, "updated_at": call.workspace.now_ms()}
    _check_name(call, found)
    documents.put(call.workspace, DASHBOARD, found["id"], found)
    return _view(found)


@routes.add("DELETE", _ONE)
async def trash(call: Call) -> dict[str, Any]:
    found = _active(call, "CAN_MANAGE")
    found |= {"lifecycle_state": "TRASHED", "published": None}
    documents.put(call.workspace, DASHBOARD, found["id"], found)
    return {}


@routes.add("POST", f"{_ONE}/published")
async def publish(call: Call) -> dict[str, Any]:
    found = _active(call, "CAN_EDIT")
    published = {
        "display_name": found["display_name"],
        "warehouse_id": call.body.get("warehouse_id") or found.get("warehouse_id", ""),
        "embed_credentials": bool(call.body.get("embed_credentials", True)),
        "revision_create_time": time_text(call.workspace.now_ms()),
    }
    content = found.get("serialized_dashboard")
    found |= {
        "published": published,
        "published_content": content,
        "publisher": call.principal.name,
    }
    documents.put(call.workspace, DASHBOARD, found["id"], found)
    return published


@routes.add("GET", f"{_ONE}/published")
async def get_published(call: Call) -> dict[str, Any]:
    published = documents.called(call, DASHBOARD, "CAN_READ").get("published")
    if not published:
        raise not_found(f"Unable to find published dashboard [{call.path['id']}]")
    found: dict[str, Any] = published
    return found


def _active(call: Call, needed: str) -> Document:
    found = documents.called(call, DASHBOARD, needed)
    if found["lifecycle_state"] != "ACTIVE":
        raise documents.missing(DASHBOARD, f"{found['id']} (in the trash)")
    return found


def _content(call: Call) -> Document:
    """Return the fields of the draft that a body carries."""
    found = {key: call.body[key] for key in _FIELDS if call.body.get(key)}
    if "serialized_dashboard" in found:
        found["serialized_dashboard"] = _stored(found["serialized_dashboard"])
    return found


def _stored(serialized: object) -> str:
    """Return the definition as Databricks does: pages with a type, a line break at the end."""
    try:
        content = json.loads(str(serialized))
        datasets = {dataset["name"] for dataset in content.get("datasets", [])}
        pages = content.get("pages", [])
        queries = [
            (item["widget"]["name"], query["query"]["datasetName"])
            for one in pages
            for item in one.get("layout", [])
            for query in item["widget"].get("queries", [])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid(f"serialized_dashboard is not understood: {error!r}") from error
    for widget, dataset in queries:
        if dataset not in datasets:
            raise invalid(
                f"serialized_dashboard: widget {widget!r} reads the dataset {dataset!r}; there are "
                f"{', '.join(sorted(datasets)) or 'none'}."
            )
    for one in pages:
        one.setdefault("pageType", "PAGE_TYPE_CANVAS")
    text = json.dumps(content) if pages else str(serialized)
    return text.rstrip("\n") + "\n"


def _check_name(call: Call, document: Document) -> None:
    path = _path(document)
    for key, other in call.workspace.store.items(DASHBOARD.name):
        active = other["lifecycle_state"] == "ACTIVE"
        if active and key != document["id"] and _path(other) == path:
            raise already_exists(f"Node named '{path}' already exists: dashboard {key}.")


def _path(document: Document) -> str:
    return f"{document['parent_path'].rstrip('/')}/{document['display_name']}{_SUFFIX}"


def _view(document: Document) -> dict[str, Any]:
    return {
        "dashboard_id": document["id"],
        "display_name": document["display_name"],
        "path": _path(document),
        "parent_path": document["parent_path"],
        "create_time": time_text(document["created_at"]),
        "update_time": time_text(document["updated_at"]),
        "etag": str(document["etag"]),
        "lifecycle_state": document["lifecycle_state"],
        **{key: document[key] for key in _FIELDS if key in document},
    }
