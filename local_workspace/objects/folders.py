"""Folders of the workspace, in which dashboards and alerts lie: ``/api/2.0/workspace``.

``/Shared`` and everybody's home are there from the start. Paths may carry the prefix
``/Workspace``; they are kept and shown without it.
"""

from __future__ import annotations

import uuid
from typing import Any

from ..core.errors import forbidden, invalid, not_found
from ..core.routing import Call, Routes
from ..core.workspace import Principal, Workspace

routes = Routes()

_BASE = "/api/2.0/workspace"
_KIND = "folders"
_PREFIX = "/Workspace"


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


def exists(workspace: Workspace, path: str) -> bool:
    """Return whether a folder exists; `path` is as :func:`normal` gives it."""
    given = {"/", "/Shared", "/Users"}
    homes = {f"/Users/{document['name']}" for _, document in workspace.store.items("principals")}
    return path in given | homes or workspace.store.get(_KIND, path) is not None


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
    path = require(call.workspace, call.query.get("path", ""))
    number = uuid.uuid5(uuid.NAMESPACE_URL, path).int % 10**15
    return {"object_type": "DIRECTORY", "path": path, "object_id": number}
