"""Notification destinations: ``/api/2.0/notification-destinations``.

Only what may be read back is kept: of addresses and passwords of other services it is remembered
that they were given, not what they are. Nothing is sent to them (:mod:`.outbox`), except to a
webhook on this machine's loopback, whose address is kept.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ..catalog.access import admin
from ..core.errors import invalid, not_found
from ..core.routing import Call, Routes, page
from ..core.store import Document
from ..core.workspace import Workspace

routes = Routes()

_BASE = "/api/2.0/notification-destinations"
_ONE = f"{_BASE}/{{id}}"
_KIND = "notification_destinations"
_HOOKS = "loopback_webhooks"
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)(:\d{1,5})?(/[^\s]*)?")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "email": ("EMAIL", ()),
    "generic_webhook": ("WEBHOOK", ("url", "username", "password")),
    "slack": ("SLACK", ("url", "oauth_token", "channel_id")),
    "microsoft_teams": (
        "MICROSOFT_TEAMS",
        ("url", "app_id", "auth_secret", "channel_url", "tenant_id"),
    ),
    "pagerduty": ("PAGERDUTY", ("integration_key",)),
}
"""Key of ``config`` -> ``destination_type`` and the fields that are secret."""


def find(workspace: Workspace, destination_id: str) -> Document | None:
    """Return a destination as the API shows it."""
    return workspace.store.get(_KIND, destination_id)


@routes.add("POST", _BASE, rule=admin)
async def create(call: Call) -> dict[str, Any]:
    name, kind, config = _name(call.need("display_name")), *_config(call.need("config"), {})
    document = _document(str(uuid.uuid4()), name, kind, config)
    call.workspace.store.put(_KIND, document["id"], document)
    _keep_hook(call, document["id"])
    return document


@routes.add("GET", _BASE)
async def list_all(call: Call) -> dict[str, Any]:
    fields = ("id", "display_name", "destination_type")
    entries = [
        {field: document[field] for field in fields}
        for _, document in call.workspace.store.items(_KIND)
    ]
    found, more = page(entries, call.query, limit="page_size")
    return {"results": found, **more}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return _get(call)


@routes.add("PATCH", _ONE, rule=admin)
async def update(call: Call) -> dict[str, Any]:
    """Change name or config; a secret that is not sent again stays."""
    found = _get(call)
    name = _name(call.body.get("display_name", found["display_name"]))
    kind, config = _config(call.body.get("config", found["config"]), found["config"])
    document = _document(found["id"], name, kind, config)
    call.workspace.store.put(_KIND, found["id"], document)
    _keep_hook(call, found["id"])
    return document


@routes.add("DELETE", _ONE, rule=admin)
async def delete(call: Call) -> dict[str, Any]:
    found = _get(call)
    call.workspace.store.delete(_KIND, found["id"])
    call.workspace.store.delete(_HOOKS, found["id"])
    return {}


def hook(workspace: Workspace, destination_id: str) -> str | None:
    """Return the address of a webhook on this machine's loopback; None for all others."""
    found = workspace.store.get(_HOOKS, destination_id)
    return str(found["url"]) if found else None


def _keep_hook(call: Call, destination_id: str) -> None:
    config = call.body.get("config") or {}
    if not config:
        return
    url = str((config.get("generic_webhook") or {}).get("url") or "")
    if _LOOPBACK.fullmatch(url):
        call.workspace.store.put(_HOOKS, destination_id, {"url": url})
    elif url:
        call.workspace.store.delete(_HOOKS, destination_id)


def _get(call: Call) -> Document:
    found = find(call.workspace, call.path["id"])
    if found is None:
        raise not_found(f"Notification destination {call.path['id']} does not exist.")
    return found


def _document(destination_id: str, name: str, kind: str, config: Document) -> Document:
    return {
        "id": destination_id,
        "display_name": name,
        "destination_type": _TYPES[kind][0],
        "config": {kind: config},
    }


def _name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise invalid(f"display_name {name!r}: 1 to 200 characters.")
    return name


def _config(sent: object, before: Document) -> tuple[str, Document]:
    """Return the kind of a config and its readable part; secrets of the same kind go on."""
    kinds = [kind for kind in _TYPES if isinstance(sent, dict) and sent.get(kind)]
    if not isinstance(sent, dict) or len(kinds) != 1:
        raise invalid(f"config must hold exactly one of {', '.join(_TYPES)}.")
    (kind,) = kinds
    fields = sent[kind]
    if kind == "email":
        addresses = fields.get("addresses") or []
        wrong = [text for text in addresses if not _ADDRESS.fullmatch(str(text))]
        if wrong or not addresses:
            raise invalid(f"email.addresses {addresses!r} must be a list of e-mail addresses.")
        return kind, {"addresses": addresses}
    kept = before.get(kind, {})
    flags = {
        f"{name}_set": True
        for name in _TYPES[kind][1]
        if fields.get(name) or kept.get(f"{name}_set")
    }
    if not flags:
        raise invalid(f"{kind} needs one of {', '.join(_TYPES[kind][1])}.")
    return kind, flags
