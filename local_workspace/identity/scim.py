"""Discovery, SCIM and the metastore assignment."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from ..core.errors import invalid, not_found
from ..core.routing import Call, Routes, whole_number
from ..core.store import Document
from ..core.workspace import METASTORE_ID, WORKSPACE_ID
from .principals import GROUPS

routes = Routes()

_SCIM = "/api/2.0/preview/scim/v2"
_FILTER = re.compile(r"""^\s*(\w+)\s+eq\s+["']?([^"']*)["']?\s*$""", re.IGNORECASE)


@routes.add("GET", "/.well-known/databricks-config", public=True)
async def discovery(call: Call) -> dict[str, Any]:
    return {
        "oidc_endpoint": f"{call.workspace.url}/oidc",
        "workspace_id": WORKSPACE_ID,
        "host_type": "workspace",
        "cloud": "AWS",
    }


@routes.add("GET", f"{_SCIM}/Me")
async def me(call: Call) -> dict[str, Any]:
    for _, document in call.workspace.store.items("principals"):
        if document["id"] == call.principal.id:
            return _user(document)
    raise not_found(f"No principal with id {call.principal.id}")


@routes.add("GET", "/api/2.1/unity-catalog/current-metastore-assignment")
async def metastore_assignment(call: Call) -> dict[str, Any]:
    return {
        "metastore_id": METASTORE_ID,
        "workspace_id": int(WORKSPACE_ID),
        "default_catalog_name": "main",
    }


@routes.add("GET", "/api/2.1/unity-catalog/metastore_summary")
async def metastore_summary(call: Call) -> dict[str, Any]:
    return {"metastore_id": METASTORE_ID, "name": "local", "cloud": "aws", "region": "local"}


def _users(call: Call) -> list[dict[str, Any]]:
    found = call.workspace.store.items("principals")
    return [_user(document) for _, document in found if document["type"] == "user"]


def _services(call: Call) -> list[dict[str, Any]]:
    found = call.workspace.store.items("principals")
    return [_service(document) for _, document in found if document["type"] == "service_principal"]


def _groups(call: Call) -> list[dict[str, Any]]:
    return [_group(call, name) for name in GROUPS]


def _memberships(document: Document) -> list[dict[str, str]]:
    return [{"display": name, "value": _group_id(name)} for name in document["groups"]]


def _user(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": document["id"],
        "userName": document["name"],
        "displayName": document["display_name"],
        "active": True,
        "groups": _memberships(document),
    }
    if document["type"] == "user":
        found["emails"] = [{"value": document["name"], "primary": True}]
    return found


def _service(document: Document) -> dict[str, Any]:
    return {
        "id": document["id"],
        "applicationId": document["name"],
        "displayName": document["display_name"],
        "active": True,
        "groups": _memberships(document),
    }


def _group_id(name: str) -> str:
    return str(2001 + GROUPS.index(name))


def _group(call: Call, name: str) -> dict[str, Any]:
    members = [
        {"value": document["id"], "display": document["display_name"]}
        for _, document in call.workspace.store.items("principals")
        if name in document["groups"]
    ]
    return {"id": _group_id(name), "displayName": name, "members": members}


def _by_id(call: Call, resources: list[dict[str, Any]]) -> dict[str, Any]:
    for resource in resources:
        if resource["id"] == call.path["id"]:
            return resource
    raise not_found(f"{call.request.url.path} does not exist")


def _page(call: Call, resources: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the SCIM list answer, with the one filter form that clients send: ``attribute eq
    "value"``.
    """
    text = call.query.get("filter")
    if text:
        match = _FILTER.match(text)
        if match is None:
            raise invalid(f'SCIM filter {text!r} is not of the form: attribute eq "value"')
        name, value = match.group(1).lower(), match.group(2).lower()
        resources = [
            resource
            for resource in resources
            if any(key.lower() == name and str(v).lower() == value for key, v in resource.items())
        ]
    start = max(1, whole_number(call.query.get("startIndex", "1"), "startIndex"))
    count = whole_number(call.query.get("count", "100"), "count")
    page = resources[start - 1 : start - 1 + count]
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(resources),
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": page,
    }


_Found = Callable[[Call], list[dict[str, Any]]]


async def _list(found: _Found, call: Call) -> dict[str, Any]:
    return _page(call, found(call))


async def _one(found: _Found, call: Call) -> dict[str, Any]:
    return _by_id(call, found(call))


for _name, _found in (("Users", _users), ("ServicePrincipals", _services), ("Groups", _groups)):
    routes.add("GET", f"{_SCIM}/{_name}")(partial(_list, _found))
    routes.add("GET", f"{_SCIM}/{_name}/{{id}}")(partial(_one, _found))
