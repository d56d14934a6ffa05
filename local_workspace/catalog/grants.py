"""Grants on securables: what was granted directly, and what comes down from the containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, Routes
from ..identity.principals import check_known
from . import access, securables
from .api import BASE
from .securables import Kind

routes = Routes()

_PATH = "{wire_type}/{full_name}"
_EVERYWHERE = frozenset({access.ALL, access.MANAGE})


def _kind(call: Call) -> Kind:
    return securables.kind_of_wire_type(call.path["wire_type"])


def _may_see(call: Call) -> None:
    kind, name = _kind(call), call.path["full_name"]
    access.require(call.workspace, call.principal, kind.name, name, access.OWN, kind.usage)


def _may_change(call: Call) -> None:
    name = call.path["full_name"]
    access.require(call.workspace, call.principal, _kind(call).name, name, access.OWN)


@routes.add("GET", f"{BASE}/permissions/{_PATH}", rule=_may_see)
async def get(call: Call) -> dict[str, Any]:
    return _answer(call, access.granted(call.workspace, _kind(call), call.path["full_name"]))


@routes.add("PATCH", f"{BASE}/permissions/{_PATH}", rule=_may_change)
async def update(call: Call) -> dict[str, Any]:
    """Apply all changes or, where one of them is refused, none."""
    workspace, full_name = call.workspace, securables.key(call.path["full_name"])
    kind = _kind(call)
    with workspace.store.transaction():
        grants = access.granted(workspace, kind, full_name)
        for change in _changes(call):
            _apply(call, kind, grants, change)
        workspace.store.put("grants", f"{kind.name}/{full_name}", {"grants": grants})
    return _answer(call, grants)


@routes.add("GET", f"{BASE}/effective-permissions/{_PATH}", rule=_may_see)
async def effective(call: Call) -> dict[str, Any]:
    found: dict[str, list[dict[str, str]]] = {}
    for depth, (level, name) in enumerate(securables.chain(_kind(call), call.path["full_name"])):
        origin = {
            "inherited_from_type": level.wire_types[0].upper(),
            "inherited_from_name": securables.key(name),
        }
        for principal, privileges in access.granted(call.workspace, level, name).items():
            found.setdefault(principal, []).extend(
                {"privilege": privilege, **(origin if depth else {})} for privilege in privileges
            )
    return _answer(call, found)


def _changes(call: Call) -> list[dict[str, Any]]:
    changes = call.body.get("changes", [])
    if not isinstance(changes, list) or not all(isinstance(c, dict) for c in changes):
        raise invalid("changes must be a list of {principal, add, remove}")
    return changes


def _apply(call: Call, kind: Kind, grants: dict[str, list[str]], change: dict[str, Any]) -> None:
    principal = str(change.get("principal", ""))
    add, remove = _privileges(kind, change, "add"), _privileges(kind, change, "remove")
    if add & remove:
        raise invalid(f"{', '.join(sorted(add & remove))}: both in add and in remove")
    check_known(call.workspace, principal)
    name = next((known for known in grants if known.lower() == principal.lower()), principal)
    left = (set(grants.pop(name, [])) | add) - remove
    if left:
        grants[name] = sorted(left)


def _privileges(kind: Kind, change: dict[str, Any], field: str) -> set[str]:
    given = change.get(field) or []
    if not isinstance(given, list):
        raise invalid(f"{field} must be a list of privileges")
    names = {str(name).upper().replace(" ", "_") for name in given}
    known = kind.privileges | _EVERYWHERE
    if not names <= known:
        raise invalid(
            f"Privilege {', '.join(sorted(names - known))} is not applicable to a "
            f"{kind.title.lower()}. Allowed: {', '.join(sorted(known))}"
        )
    return names


def _answer(call: Call, grants: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Answer the grants, of one principal if the query names one."""
    wanted = call.query.get("principal", "").lower()
    return {
        "privilege_assignments": [
            {"principal": principal, "privileges": privileges}
            for principal, privileges in sorted(grants.items())
            if not wanted or principal.lower() == wanted
        ]
    }
