"""Access control lists of serving endpoints: ``/api/2.0/permissions/serving-endpoints/{id}``."""

from __future__ import annotations

from typing import Any

from ..core.errors import invalid
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Workspace
from ..identity.principals import GROUPS, check_known
from . import endpoints
from .endpoints import ACL_FIELDS, LEVELS

routes = Routes()

_BASE = "/api/2.0/permissions/serving-endpoints/{id}"
_DESCRIPTIONS = {
    "CAN_VIEW": "Can view the serving endpoint",
    "CAN_QUERY": "Can query the serving endpoint",
    "CAN_MANAGE": "Can manage the serving endpoint",
}


@routes.add("GET", _BASE)
async def get(call: Call) -> dict[str, Any]:
    return _answer(call.workspace, _endpoint(call, "CAN_VIEW"))


@routes.add("GET", f"{_BASE}/permissionLevels")
async def levels(call: Call) -> dict[str, Any]:
    _endpoint(call, "CAN_VIEW")
    return {
        "permission_levels": [
            {"permission_level": level, "description": _DESCRIPTIONS[level]} for level in LEVELS
        ]
    }


@routes.add("PUT", _BASE)
async def replace(call: Call) -> dict[str, Any]:
    endpoint = _endpoint(call, "CAN_MANAGE")
    endpoints.put_acl(call.workspace, endpoint["id"], list(_sent(call).values()))
    return _answer(call.workspace, endpoint)


@routes.add("PATCH", _BASE)
async def update(call: Call) -> dict[str, Any]:
    endpoint = _endpoint(call, "CAN_MANAGE")
    known = endpoints.acl(call.workspace, endpoint["id"])
    entries = {endpoints.acl_principal(entry).lower(): entry for entry in known} | _sent(call)
    endpoints.put_acl(call.workspace, endpoint["id"], list(entries.values()))
    return _answer(call.workspace, endpoint)


def _endpoint(call: Call, needed: str) -> Document:
    name = endpoints.by_id(call.workspace, call.path["id"])["name"]
    return endpoints.require(call.workspace, call.principal, name, needed)


def _sent(call: Call) -> dict[str, Document]:
    """The entries of the body, checked, by principal."""
    entries = {}
    for sent in call.body.get("access_control_list", []):
        given = [field for field in ACL_FIELDS if sent.get(field)]
        if len(given) != 1:
            raise invalid(f"Access control entry {sent}: exactly one of {', '.join(ACL_FIELDS)}.")
        if sent.get("permission_level") not in LEVELS:
            raise invalid(f"Access control entry {sent}: level must be one of {', '.join(LEVELS)}.")
        field, name = given[0], str(sent[given[0]])
        check_known(call.workspace, name)
        if (field == "group_name") != (name.lower() in GROUPS):
            kind = field.removesuffix("_name").replace("_", " ")
            raise invalid(f"Access control entry {sent}: '{name}' is not a {kind}.")
        entries[name.lower()] = {field: name, "permission_level": sent["permission_level"]}
    return entries


def _answer(workspace: Workspace, endpoint: Document) -> dict[str, Any]:
    direct = [
        {
            **{field: value for field, value in entry.items() if field in ACL_FIELDS},
            "display_name": endpoints.acl_principal(entry),
            "all_permissions": [
                {"permission_level": entry["permission_level"], "inherited": False}
            ],
        }
        for entry in endpoints.acl(workspace, endpoint["id"])
    ]
    inherited = {
        "group_name": "admins",
        "display_name": "admins",
        "all_permissions": [{"permission_level": "CAN_MANAGE", "inherited": True}],
    }
    return {
        "object_id": f"/serving-endpoints/{endpoint['id']}",
        "object_type": "serving-endpoint",
        "access_control_list": [*direct, inherited],
    }
