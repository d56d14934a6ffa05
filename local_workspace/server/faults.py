"""Faults on demand: what goes wrong on a network and in a busy service, per route and countable."""

from __future__ import annotations

import asyncio
import fnmatch
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from ..core.errors import invalid
from ..core.store import Document
from ..core.workspace import Workspace

When = Literal["before", "after"]

_FIELDS: dict[str, tuple[type | tuple[type, ...], Any]] = {
    "method": (str, "*"),
    "path": (str, None),
    "status": (int, None),
    "body": (dict, None),
    "times": (int, 1),
    "offset": (int, 0),
    "when": (str, "before"),
    "delay_s": ((int, float), 0),
    "drop": (bool, False),
}


class ConnectionDropped(Exception):  # noqa: N818 - an event that a rule asked for, not a mistake
    """The connection is to be closed without an answer."""


def rule(body: Document) -> Document:
    """Return a fault rule with its defaults.

    Parameters
    ----------
    body
        ``path``: pattern with ``*``; ``method``: one method or ``*``. What happens: ``status`` with
        an optional ``body``, ``drop`` (the connection is closed without an answer), ``delay_s``
        (alone: the call goes on after it). ``when``: ``before`` the effect or ``after`` it. The
        first ``offset`` matching calls pass, then ``times`` calls are hit (0: all).

    Raises
    ------
    ApiError
        400 for unknown fields, wrong types, or a rule that does nothing.
    """
    unknown = sorted(set(body) - set(_FIELDS))
    if unknown:
        raise invalid(f"Unknown field {', '.join(unknown)}; allowed: {', '.join(_FIELDS)}")
    found = {name: body.get(name, default) for name, (_, default) in _FIELDS.items()}
    for name, (kind, default) in _FIELDS.items():
        if not isinstance(found[name], kind) and not (found[name] is None and default is None):
            raise invalid(f"{name}={found[name]!r} is of the wrong type")
    if not found["path"]:
        raise invalid("path is missing: a pattern such as /api/2.0/serving-endpoints/*")
    if found["when"] not in ("before", "after"):
        raise invalid(f"when={found['when']!r} is not one of: before, after")
    if not (found["status"] or found["drop"] or found["delay_s"]):
        raise invalid("The rule does nothing: set status, drop or delay_s")
    return {**found, "seen": 0, "hits": 0}


async def apply(workspace: Workspace, when: When, method: str, path: str) -> Response | None:
    """Return the answer that a rule puts in place of the real one.

    Raises
    ------
    ConnectionDropped
        The rule closes the connection.
    """
    found = _hit(workspace, when, method, path)
    if found is None:
        return None
    await asyncio.sleep(found["delay_s"])
    if found["drop"]:
        raise ConnectionDropped(f"{method} {path}")
    if found["status"] is None:
        return None
    return JSONResponse(found["body"] or _default_body(found["status"]), found["status"])


def _hit(workspace: Workspace, when: When, method: str, path: str) -> Document | None:
    store = workspace.store
    for key, found in store.items("faults"):
        if found["when"] != when or found["method"].upper() not in ("*", method):
            continue
        if not fnmatch.fnmatchcase(path, found["path"]):
            continue
        found["seen"] += 1
        due = found["seen"] > found["offset"]
        due = due and (found["times"] == 0 or found["hits"] < found["times"])
        found["hits"] += due
        store.put("faults", key, found)
        if due:
            return found
    return None


def _default_body(status: int) -> dict[str, Any]:
    codes = {
        400: "INVALID_PARAMETER_VALUE",
        403: "PERMISSION_DENIED",
        404: "RESOURCE_DOES_NOT_EXIST",
        409: "RESOURCE_CONFLICT",
        429: "REQUEST_LIMIT_EXCEEDED",
        503: "TEMPORARILY_UNAVAILABLE",
    }
    return {
        "error_code": codes.get(status, "INTERNAL_ERROR"),
        "message": f"Fault set by a control route: {status}",
    }
