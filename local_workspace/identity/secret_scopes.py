"""Secrets: ``/api/2.0/secrets``, and the references to them in a served entity's variables.

A value is never recorded. Scoring processes get it when they start, and whoever may read its scope.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from ..core.errors import already_exists, forbidden, invalid, not_found
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Principal, Workspace

routes = Routes()

_BASE = "/api/2.0/secrets"
_SCOPES, _SECRETS = "secret_scopes", "scoped_secrets"
_LEVELS = ("READ", "WRITE", "MANAGE")
_NAME = re.compile(r"[\w.@-]{1,128}")
_REFERENCE = re.compile(r"\{\{\s*secrets/([\w.@-]+)/([\w.@-]+)\s*\}\}")


@routes.add("POST", f"{_BASE}/scopes/create")
async def create_scope(call: Call) -> dict[str, Any]:
    scope = _named(call, "scope")
    if call.workspace.store.get(_SCOPES, scope) is not None:
        raise already_exists(f"Scope {scope} already exists!")
    call.workspace.store.put(_SCOPES, scope, {"acls": {call.principal.name: "MANAGE"}})
    return {}


@routes.add("GET", f"{_BASE}/scopes/list")
async def list_scopes(call: Call) -> dict[str, Any]:
    found = call.workspace.store.items(_SCOPES)
    return {"scopes": [{"name": name, "backend_type": "DATABRICKS"} for name, _ in found]}


@routes.add("POST", f"{_BASE}/scopes/delete")
async def delete_scope(call: Call) -> dict[str, Any]:
    scope = _scope(call, "MANAGE")
    for key, _ in call.workspace.store.items(_SECRETS, f"{scope}/"):
        call.workspace.store.delete(_SECRETS, key)
    call.workspace.store.delete(_SCOPES, scope)
    return {}


@routes.add("POST", f"{_BASE}/put")
async def put(call: Call) -> dict[str, Any]:
    scope, key = _scope(call, "WRITE"), _named(call, "key")
    secret = {"value": str(call.need("string_value")), "at": call.workspace.now_ms()}
    call.workspace.store.put(_SECRETS, f"{scope}/{key}", secret)
    return {}


@routes.add("POST", f"{_BASE}/delete")
async def delete(call: Call) -> dict[str, Any]:
    scope, key = _scope(call, "WRITE"), _named(call, "key")
    if not call.workspace.store.delete(_SECRETS, f"{scope}/{key}"):
        raise _missing(scope, key)
    return {}


@routes.add("GET", f"{_BASE}/list")
async def list_all(call: Call) -> dict[str, Any]:
    scope = _scope(call, "READ")
    found = call.workspace.store.items(_SECRETS, f"{scope}/")
    return {
        "secrets": [
            {"key": name.partition("/")[2], "last_updated_timestamp": secret["at"]}
            for name, secret in found
        ]
    }


@routes.add("GET", f"{_BASE}/get")
async def get(call: Call) -> dict[str, Any]:
    scope, key = _scope(call, "READ"), _named(call, "key")
    secret = call.workspace.store.get(_SECRETS, f"{scope}/{key}")
    if secret is None:
        raise _missing(scope, key)
    return {"key": key, "value": base64.b64encode(secret["value"].encode()).decode()}


@routes.add("GET", f"{_BASE}/acls/list")
async def list_acls(call: Call) -> dict[str, Any]:
    acls = _acls(call, _scope(call, "MANAGE"))
    return {"items": [{"principal": name, "permission": acls[name]} for name in sorted(acls)]}


@routes.add("GET", f"{_BASE}/acls/get")
async def get_acl(call: Call) -> dict[str, Any]:
    scope, name = _scope(call, "MANAGE"), call.query.get("principal", "")
    return {"principal": name, "permission": _held(_acls(call, scope), scope, name)}


@routes.add("POST", f"{_BASE}/acls/delete")
async def delete_acl(call: Call) -> dict[str, Any]:
    scope, name = _scope(call, "MANAGE"), str(call.need("principal"))
    acls = _acls(call, scope)
    _held(acls, scope, name)
    del acls[name]
    call.workspace.store.put(_SCOPES, scope, {"acls": acls})
    return {}


@routes.add("POST", f"{_BASE}/acls/put")
async def put_acl(call: Call) -> dict[str, Any]:
    scope, level = _scope(call, "MANAGE"), call.need("permission")
    if level not in _LEVELS:
        raise invalid(f"permission={level!r} is not one of: {', '.join(_LEVELS)}")
    acls = {**_acls(call, scope), str(call.need("principal")): level}
    call.workspace.store.put(_SCOPES, scope, {"acls": acls})
    return {}


def _acls(call: Call, scope: str) -> dict[str, str]:
    found: dict[str, str] = (call.workspace.store.get(_SCOPES, scope) or {})["acls"]
    return found


def _held(acls: dict[str, str], scope: str, name: str) -> str:
    """Return a principal's own level in a scope; 404 without one."""
    if name not in acls:
        raise not_found(f"Principal {name} has no ACL on scope {scope}!")
    return acls[name]


def check(workspace: Workspace, creator: Principal, variables: Mapping[str, str]) -> None:
    """Refuse variables that refer to secrets which an endpoint's creator may not read.

    Raises
    ------
    ApiError
        404 where there is no such secret, 403 where the creator may not read it.
    """
    for scope, key in _references(variables).values():
        _require(workspace, creator, scope, "READ")
        if workspace.store.get(_SECRETS, f"{scope}/{key}") is None:
            raise _missing(scope, key)


def resolved(workspace: Workspace, variables: Mapping[str, str]) -> dict[str, str]:
    """Variables with the secrets that they refer to; those that are gone by now are left out."""
    found = dict(variables)
    for name, (scope, key) in _references(variables).items():
        secret = workspace.store.get(_SECRETS, f"{scope}/{key}")
        found.pop(name) if secret is None else found.update({name: secret["value"]})
    return found


def _references(variables: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    matches = {name: _REFERENCE.fullmatch(value.strip()) for name, value in variables.items()}
    return {name: (match[1], match[2]) for name, match in matches.items() if match}


def _named(call: Call, field: str) -> str:
    value = call.query.get(field) if call.request.method == "GET" else call.need(field)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise invalid(f"{field}={value!r} must be 1 to 128 letters, digits, '-', '_', '@', '.'")
    return value


def _scope(call: Call, level: str) -> str:
    """Return the scope of a call, whose principal must have this level there."""
    scope = _named(call, "scope")
    _require(call.workspace, call.principal, scope, level)
    return scope


def _require(workspace: Workspace, who: Principal, scope: str, level: str) -> None:
    document: Document | None = workspace.store.get(_SCOPES, scope)
    if document is None:
        raise not_found(f"Scope {scope} does not exist!")
    held = [document["acls"].get(name) for name in (who.name, *who.groups)]
    enough = _LEVELS[_LEVELS.index(level) :]
    if not who.is_admin and not {*held} & {*enough}:
        raise forbidden(f"{who.name} does not have {level} permission on scope {scope}")


def _missing(scope: str, key: str) -> Exception:
    return not_found(f"Secret does not exist with scope: {scope} and key: {key}")
