"""Folders of the workspace, with the experiments, dashboards, alerts and queries that lie in them:
``/api/2.0/workspace``.

``/Shared`` and everybody's home are there from the start. Paths may carry the prefix
``/Workspace``; they are kept and shown without it.
"""

from __future__ import annotations

import uuid
from typing import Any

from ..core.errors import forbidden, invalid, not_found
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from . import documents
from .documents import ALERT, DASHBOARD, EXPERIMENT, QUERY

routes = Routes()

_BASE = "/api/2.0/workspace"
_KIND = "folders"
_PREFIX = "/Workspace"
_FOLDER = "DIRECTORY"
_OBJECTS = {EXPERIMENT: "MLFLOW_EXPERIMENT", DASHBOARD: "DASHBOARD", ALERT: "ALERT", QUERY: "QUERY"}


def normal(path: object) -> str:
    """Return a path as the workspace keeps it.

    Raises
    ------
    ApiError
        400 when it does not start with ``/`` or has empty or dot segments.
    """
    text = str(path).removeprefix(_PREFIX) if str(path).startswith(f"{_PREFIX}/") else str(path)
    parts = text.rstrip("/").split("/")
    if parts[0] or any(part in ("", ".", "..") for part in parts[1:]):
        raise invalid(f"Path {path!r} must be absolute, as in /Shared/monitoring.")
    return "/".join(parts) or "/"


def given(workspace: Workspace) -> set[str]:
    """Return the folders that are there from the start."""
    homes = {f"/Users/{document['name']}" for _, document in workspace.store.items("principals")}
    return {"/", "/Shared", "/Users"} | homes


def exists(workspace: Workspace, path: str) -> bool:
    """Return whether a folder exists; `path` is as :func:`normal` gives it."""
    return path in given(workspace) or workspace.store.get(_KIND, path) is not None


def require(workspace: Workspace, path: str) -> str:
    """Return the folder in its normal form.

    Raises
    ------
    ApiError
        404 when it is not there, in the words for which clients wait before they make it.
    """
    if not exists(workspace, normal(path)):
        raise not_found(f"Path ({path}) doesn't exist.")
    return normal(path)


def writable(principal: Principal, path: object) -> str:
    """Return a path in its normal form, for something new.

    Raises
    ------
    ApiError
        400 as :func:`normal`, 403 in the home of somebody else.
    """
    found = normal(path)
    home, own = found.lower().split("/")[1:3], ["users", principal.name.lower()]
    if home[0] == own[0] and home != own and not principal.is_admin:
        raise forbidden(
            f"{principal.name} may not write to {found}: use /Shared or /Users/{principal.name}."
        )
    return found


@routes.add("POST", f"{_BASE}/mkdirs")
async def make(call: Call) -> dict[str, Any]:
    """Make a folder and those above it."""
    parts = writable(call.principal, call.need("path")).split("/")
    for depth in range(2, len(parts) + 1):
        path = "/".join(parts[:depth])
        if not exists(call.workspace, path):
            call.workspace.store.put(_KIND, path, {"path": path})
    return {}


@routes.add("GET", f"{_BASE}/get-status")
async def get(call: Call) -> dict[str, Any]:
    return _find(call, _tree(call))


@routes.add("GET", f"{_BASE}/list")
async def list_all(call: Call) -> dict[str, Any]:
    """Return what lies directly in a folder; of an object, the object itself."""
    tree = _tree(call)
    asked = _find(call, tree)
    if asked["object_type"] != _FOLDER:
        return {"objects": [asked]}
    above = asked["path"].rstrip("/")
    below = [path for path in sorted(tree) if path.rpartition("/")[0] == above and path != "/"]
    return {"objects": [tree[path] for path in below]}


def _find(call: Call, tree: dict[str, Document]) -> Document:
    path = call.query.get("path", "")
    if normal(path) not in tree:
        raise not_found(f"Path ({path}) doesn't exist.")
    return tree[normal(path)]


def _tree(call: Call) -> dict[str, Document]:
    """Return every folder, and every object that the caller may see, by its path."""
    found: dict[str, Document] = {}
    for kind, name in _OBJECTS.items():
        for document in documents.visible(call.workspace, call.principal, kind):
            if path := _place(document):
                number = int(document["id"]) if kind is EXPERIMENT else _number(path)
                info = {"object_type": name, "path": path, "object_id": number}
                found[path] = info | {"resource_id": document["id"]}
    stored = [path for path, _ in call.workspace.store.items(_KIND)]
    for path in [*given(call.workspace), *stored, *found]:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth]) or "/"
            folder = {"object_type": _FOLDER, "path": above, "object_id": _number(above)}
            found.setdefault(above, folder)
    return found


def _place(document: Document) -> str | None:
    """Return the path of an experiment, dashboard, alert or query; None in the trash."""
    if "display_name" in document:
        path = f"{document['parent_path']}/{document['display_name']}.lvdash.json"
        return path if document["lifecycle_state"] == "ACTIVE" else None
    if "alert" in document:
        alert = document["alert"]
        folder = normal(alert.get("parent_path") or f"/Users/{document['owner']}")
        return f"{folder}/{alert['display_name']}.dbalert.json"
    if "query" in document:
        return f"{document['parent_path']}/{document['query']['display_name']}.dbquery.ipynb"
    name: str | None = document.get("name")  # experiments of an older workspace lack it
    return name


def _number(path: str) -> int:
    return uuid.uuid5(uuid.NAMESPACE_URL, path).int % 10**15
