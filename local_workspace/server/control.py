"""Control routes under ``/_local``: faults, the clock, settings, the recorded requests.

They are no part of Databricks. Only admins may call them; they are neither recorded nor hit by
faults.
"""

from __future__ import annotations

from typing import Any

from ..catalog.access import admin
from ..core.errors import invalid, not_found
from ..core.routing import Call, Routes, whole_number
from . import faults
from .recorder import Recorder

routes = Routes()

PREFIX = "/_local/"

_SETTINGS: dict[str, dict[str, Any]] = {
    "deployments": {"polls_in_progress": 0, "fail": [], "seconds": 0.0},
    "inference": {"delay_s": 0.0, "duplicates": 0},
    "artifacts": {"files_api": True},
}
"""Name of a settings document -> its defaults; the store keeps them as ``control/<name>``."""


@routes.add("GET", "/_local/faults", rule=admin)
async def list_faults(call: Call) -> dict[str, Any]:
    return {"faults": [{"id": key, **doc} for key, doc in call.workspace.store.items("faults")]}


@routes.add("POST", "/_local/faults", rule=admin)
async def add_fault(call: Call) -> dict[str, Any]:
    document = faults.rule(call.body)
    key = f"{call.workspace.store.next_number('faults'):06d}"
    call.workspace.store.put("faults", key, document)
    return {"id": key, **document}


@routes.add("DELETE", "/_local/faults", rule=admin)
async def clear_faults(call: Call) -> dict[str, Any]:
    for key, _ in call.workspace.store.items("faults"):
        call.workspace.store.delete("faults", key)
    return {}


@routes.add("DELETE", "/_local/faults/{id}", rule=admin)
async def remove_fault(call: Call) -> dict[str, Any]:
    if not call.workspace.store.delete("faults", call.path["id"]):
        raise not_found(f"There is no fault {call.path['id']}")
    return {}


@routes.add("GET", "/_local/clock", rule=admin)
async def get_clock(call: Call) -> dict[str, Any]:
    offset = (call.workspace.store.get("control", "clock") or {}).get("offset_ms", 0)
    return {"now_ms": call.workspace.now_ms(), "offset_ms": offset}


@routes.add("PUT", "/_local/clock", rule=admin)
async def set_clock(call: Call) -> dict[str, Any]:
    """Move the clock: ``offset_ms`` from real time, for everything that is stamped or expires."""
    offset = call.body.get("offset_ms")
    if not isinstance(offset, int):
        raise invalid(f"offset_ms={offset!r} must be a whole number of milliseconds")
    call.workspace.store.put("control", "clock", {"offset_ms": offset})
    return await get_clock(call)


@routes.add("GET", "/_local/settings/{name}", rule=admin)
async def get_settings(call: Call) -> dict[str, Any]:
    name = _settings_name(call)
    return _SETTINGS[name] | (call.workspace.store.get("control", name) or {})


@routes.add("PUT", "/_local/settings/{name}", rule=admin)
async def put_settings(call: Call) -> dict[str, Any]:
    """Replace a settings document; fields that are not sent go back to their defaults."""
    name = _settings_name(call)
    unknown = sorted(set(call.body) - set(_SETTINGS[name]))
    if unknown:
        raise invalid(
            f"Unknown field {', '.join(unknown)} in {name}; allowed: {', '.join(_SETTINGS[name])}"
        )
    document = _SETTINGS[name] | call.body
    call.workspace.store.put("control", name, document)
    return document


def _settings_name(call: Call) -> str:
    name = call.path["name"]
    if name not in _SETTINGS:
        raise not_found(f"There are no settings {name!r}; there are: {', '.join(_SETTINGS)}")
    return name


@routes.add("GET", "/_local/requests", rule=admin)
async def list_requests(call: Call) -> dict[str, Any]:
    """Recorded requests; the query filters them (see :meth:`.recorder.Recorder.read`)."""
    recorder: Recorder = call.workspace.runtime["recorder"]
    wanted = call.query
    if "after" in wanted:
        whole_number(wanted["after"], "after")
    return {"requests": recorder.read(**wanted)}


@routes.add("DELETE", "/_local/requests", rule=admin)
async def clear_requests(call: Call) -> dict[str, Any]:
    recorder: Recorder = call.workspace.runtime["recorder"]
    recorder.clear()
    return {}
