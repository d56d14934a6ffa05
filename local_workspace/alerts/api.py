"""SQL alerts, version 2: ``/api/2.0/alerts``.

An answer holds what the caller gave and what the server alone knows; no field that was left out
gets a value, for clients take that for a change. Evaluation is in :mod:`.evaluation`.
"""

from __future__ import annotations

import uuid
from copy import deepcopy
from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, Routes, page
from ..core.store import Document
from ..core.workspace import Workspace, time_text
from ..objects import documents, folders
from ..objects.documents import ALERT
from ..sql import warehouses
from . import spec as alert_spec

routes = Routes()

_BASE = "/api/2.0/alerts"
_ONE = f"{_BASE}/{{id}}"


@routes.add("POST", _BASE)
async def create(call: Call) -> dict[str, Any]:
    alert = _given(call.body)
    alert_spec.check(call.workspace, call.principal, alert)
    folders.writable(call.principal, alert.get("parent_path") or "/Shared")
    warehouses.use(call.workspace, call.principal, alert["warehouse_id"])
    document: Document = {
        "id": str(uuid.uuid4()),
        "owner": call.principal.name,
        "created_at": call.workspace.now_ms(),
        "updated_at": call.workspace.now_ms(),
        "alert": alert,
        "state": "UNKNOWN",
    }
    documents.put(call.workspace, ALERT, document["id"], document)
    return view(call.workspace, document)


@routes.add("GET", _BASE)
async def list_all(call: Call) -> dict[str, Any]:
    visible = documents.visible(call.workspace, call.principal, ALERT)
    found, more = page(visible, call.query, limit="page_size")
    return {"alerts": [view(call.workspace, document) for document in found], **more}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return view(call.workspace, documents.called(call, ALERT, "CAN_READ"))


@routes.add("PATCH", _ONE)
async def update(call: Call) -> dict[str, Any]:
    """Set the fields that ``update_mask`` names; those that the body lacks are cleared."""
    found = documents.called(call, ALERT, "CAN_EDIT")
    alert, sent = deepcopy(found["alert"]), _given(call.body)
    for path in _mask(call.query.get("update_mask", "")):
        _assign(alert, sent, path.split("."))
    _check_home(found["alert"], alert)
    alert_spec.check(call.workspace, call.principal, alert)
    warehouses.use(call.workspace, call.principal, alert["warehouse_id"])
    found |= {"alert": alert, "updated_at": call.workspace.now_ms()}
    documents.put(call.workspace, ALERT, found["id"], found)
    return view(call.workspace, found)


@routes.add("DELETE", _ONE)
async def trash(call: Call) -> dict[str, Any]:
    """A trashed alert is neither shown nor evaluated; nothing here brings it back."""
    found = documents.called(call, ALERT, "CAN_MANAGE")
    documents.delete(call.workspace, ALERT, found["id"])
    return {}


def view(workspace: Workspace, document: Document) -> dict[str, Any]:
    """Return an alert as the API answers it."""
    answer: dict[str, Any] = deepcopy(document["alert"])
    name = alert_spec.run_as(answer, document["owner"])
    answer["evaluation"]["state"] = document["state"]
    if "evaluated_at" in document:
        answer["evaluation"]["last_evaluated_at"] = time_text(document["evaluated_at"])
    return {
        **answer,
        "id": document["id"],
        "create_time": time_text(document["created_at"]),
        "update_time": time_text(document["updated_at"]),
        "lifecycle_state": "ACTIVE",
        "owner_user_name": document["owner"],
        "effective_run_as": {documents.name_field(name): name},
    }


def _given(body: Document) -> Document:
    """Return the fields of a body that are the caller's to give."""
    alert = {key: value for key, value in deepcopy(body).items() if key in alert_spec.FIELDS}
    if isinstance(alert.get("evaluation"), dict):
        for output in ("state", "last_evaluated_at"):
            alert["evaluation"].pop(output, None)
    return alert


def _mask(text: str) -> list[str]:
    paths = list(alert_spec.FIELDS) if text == "*" else [part for part in text.split(",") if part]
    unknown = [path for path in paths if path.split(".")[0] not in alert_spec.FIELDS]
    if unknown or not paths:
        raise invalid(
            f"update_mask {text!r} must name fields to change; allowed: "
            f"{', '.join(alert_spec.FIELDS)} and fields inside them, or *."
        )
    return paths


def _assign(target: Document, source: Document, path: list[str]) -> None:
    head, *rest = path
    if rest:
        inner, given = target.setdefault(head, {}), source.get(head)
        _assign(inner, given if isinstance(given, dict) else {}, rest)
    elif source.get(head) is None:
        target.pop(head, None)
    else:
        target[head] = source[head]


def _check_home(before: Document, after: Document) -> None:
    """An alert stays in its folder."""
    old, new = before.get("parent_path"), after.get("parent_path")
    if new is not None and old is not None and folders.normal(new) != folders.normal(old):
        raise invalid(f"parent_path can only be set on create: it is {old}, not {new}.")
