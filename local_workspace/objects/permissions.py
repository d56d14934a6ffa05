"""Access control lists of warehouses, alerts, dashboards, experiments and jobs:
``/api/2.0/permissions``. Those of experiments are kept, and not enforced.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, Routes
from ..core.store import Document
from ..identity.principals import check_known, find
from . import objects
from .objects import ACL_FIELDS, ALERT, DASHBOARD, EXPERIMENT, JOB, WAREHOUSE, ObjectKind

routes = Routes()

_BASE = "/api/2.0/permissions"
_KINDS: dict[str, tuple[ObjectKind, str]] = {
    "warehouses": (WAREHOUSE, "warehouses"),
    "sql/warehouses": (WAREHOUSE, "warehouses"),
    "alertsv2": (ALERT, "alertv2"),
    "dashboards": (DASHBOARD, "dashboard"),
    "experiments": (EXPERIMENT, "mlflowExperiment"),
    "jobs": (JOB, "job"),
}
"""Path -> kind and ``object_type`` of the answer."""


async def _get(path: str, call: Call) -> dict[str, Any]:
    kind, _ = _KINDS[path]
    return _answer(path, call, objects.called(call, kind, kind.levels[0]))


async def _levels(path: str, call: Call) -> dict[str, Any]:
    kind, _ = _KINDS[path]
    objects.called(call, kind, kind.levels[0])
    return {"permission_levels": [{"permission_level": level} for level in kind.levels]}


async def _put(path: str, call: Call) -> dict[str, Any]:
    """Replace the list, or with PATCH add to it."""
    kind, _ = _KINDS[path]
    found, object_id = objects.called(call, kind, "CAN_MANAGE"), call.path["id"]
    entries = _sent(kind, call)
    if call.request.method == "PATCH":
        known = objects.acl(call.workspace, kind, object_id)
        entries = {objects.acl_principal(entry).lower(): entry for entry in known} | entries
    owners = [entry for entry in entries.values() if entry["permission_level"] == "IS_OWNER"]
    if len(owners) > 1:
        raise invalid(f"{kind.title} {object_id} can have one owner, not {len(owners)}.")
    if owners:
        found = {**found, "owner": objects.acl_principal(owners[0])}
        objects.put(call.workspace, kind, object_id, found)
    # The owner's own entry is answered always, and once.
    others = [
        entry
        for entry in entries.values()
        if entry["permission_level"] != "IS_OWNER"
        and objects.acl_principal(entry) != found["owner"]
    ]
    objects.put_acl(call.workspace, kind, object_id, others)
    return _answer(path, call, found)


def _sent(kind: ObjectKind, call: Call) -> dict[str, Document]:
    """The entries of the body, checked, by principal."""
    entries = {}
    for sent in call.body.get("access_control_list", []):
        given = [field for field in ACL_FIELDS if sent.get(field)]
        if len(given) != 1:
            raise invalid(f"Access control entry {sent}: exactly one of {', '.join(ACL_FIELDS)}.")
        level, name = sent.get("permission_level"), str(sent[given[0]])
        if level not in kind.levels:
            raise invalid(f"Access control entry {sent}: one of {', '.join(kind.levels)}.")
        check_known(call.workspace, name)
        if (given[0] == "group_name") == (find(call.workspace, name) is not None):
            raise invalid(f"Access control entry {sent}: '{name}' is no {given[0][:-5]}.")
        entries[name.lower()] = {given[0]: name, "permission_level": level}
    return entries


def _answer(path: str, call: Call, document: Document) -> dict[str, Any]:
    kind, object_type = _KINDS[path]
    owner = find(call.workspace, document["owner"])
    field = "user_name" if owner is None or "@" in owner.name else "service_principal_name"
    direct = [
        {field: document["owner"], "permission_level": kind.levels[-1]},
        *objects.acl(call.workspace, kind, call.path["id"]),
    ]
    entries = [_entry(entry, inherited=False) for entry in direct]
    admins = {"group_name": "admins", "permission_level": "CAN_MANAGE"}
    return {
        "object_id": f"/{path}/{call.path['id']}",
        "object_type": object_type,
        "access_control_list": [*entries, _entry(admins, inherited=True)],
    }


def _entry(entry: Document, *, inherited: bool) -> dict[str, Any]:
    level = {"permission_level": entry["permission_level"], "inherited": inherited}
    who = {field: value for field, value in entry.items() if field in ACL_FIELDS}
    return {**who, "display_name": objects.acl_principal(entry), "all_permissions": [level]}


for _path in _KINDS:
    _one = f"{_BASE}/{_path}/{{id}}"
    routes.add("GET", _one)(partial(_get, _path))
    routes.add("GET", f"{_one}/permissionLevels")(partial(_levels, _path))
    routes.add("PUT", _one)(partial(_put, _path))
    routes.add("PATCH", _one)(partial(_put, _path))
