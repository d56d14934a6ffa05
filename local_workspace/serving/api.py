"""Serving endpoints: ``/api/2.0/serving-endpoints``.

Requests are checked in :mod:`.spec`, rolled out in :mod:`.deployment`, answered from
:mod:`.endpoints`.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import PlainTextResponse, Response

from ..catalog import access, versions
from ..core.errors import already_exists, conflict, forbidden, invalid, not_found
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from ..identity import secret_scopes
from ..identity.principals import find
from ..objects import documents
from ..objects.documents import ENDPOINT
from . import deployment, endpoints, inference, invocations, scoring
from .deployment import Deployments
from .endpoints import IN_PROGRESS, NOT_UPDATING
from .openapi import describe
from .spec import ECHOED, check_config, check_creation, check_gateway, refuse_rate_limits

routes = Routes()

_BASE = "/api/2.0/serving-endpoints"
_ONE = f"{_BASE}/{{name}}"


async def startup(workspace: Workspace) -> None:
    """Serve again what served before the instance stopped."""
    workspace.runtime["inference"] = inference.Writer(workspace)
    workspace.runtime["serving"] = deployments = Deployments(workspace)
    deployments.resume()


async def shutdown(workspace: Workspace) -> None:
    await deployment.of(workspace).close()
    await inference.of(workspace).close()


@routes.add("POST", _BASE, f"{_BASE}/")  # mlflow sends the slash
async def create(call: Call) -> dict[str, Any]:
    workspace, body, who = call.workspace, call.body, call.principal
    name = check_creation(body)
    entities, traffic = check_config(call.need("config"))
    if workspace.store.get(ENDPOINT.name, name) is not None:
        raise already_exists(f"Endpoint with name '{name}' already exists.")
    _check_models(workspace, entities, who)
    document: Document = {
        "name": name,
        "id": workspace.new_id(),
        "creator": who.name,
        "creation_timestamp": workspace.now_ms(),
        "update": NOT_UPDATING,
        "config": None,
        "pending": None,
        "last_config_version": 0,
        **{field: body[field] for field in ECHOED if body.get(field) is not None},
    }
    with workspace.store.transaction():
        inference.open_table(workspace, document, who)
        own = {documents.name_field(who.name): who.name, "permission_level": "CAN_MANAGE"}
        documents.put_acl(workspace, ENDPOINT, name, [own])
        pending = endpoints.new_config(workspace, document, who.name, entities, traffic)
        deployment.of(workspace).begin(document, pending)
    return _view(call, name)


@routes.add("GET", _BASE, f"{_BASE}/")
async def list_all(call: Call) -> dict[str, Any]:
    visible = documents.visible(call.workspace, call.principal, ENDPOINT)
    return {"endpoints": [_answer(call, document) for document in visible]}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    name = _require(call, "CAN_VIEW")["name"]
    deployment.of(call.workspace).polled(name)
    return _view(call, name)


@routes.add("DELETE", _ONE)
async def delete(call: Call) -> dict[str, Any]:
    document = _require(call, "CAN_MANAGE")
    await deployment.of(call.workspace).drop(document)
    documents.delete(call.workspace, ENDPOINT, document["name"])
    return {}


@routes.add("PUT", f"{_ONE}/config")
async def put_config(call: Call) -> dict[str, Any]:
    """Roll out another config. The creator's rights are checked again, not only the caller's.

    Secrets must be readable to both: a model could answer what the caller may not read.
    """
    workspace, document = call.workspace, _require(call, "CAN_MANAGE")
    entities, traffic = check_config(call.body)
    if document["update"] == IN_PROGRESS:
        raise conflict(
            f"Endpoint '{document['name']}' is being updated (config_version "
            f"{document['last_config_version']}). Wait until config_update is not IN_PROGRESS."
        )
    creator = find(workspace, document["creator"])
    if creator is None:
        raise forbidden(f"The creator {document['creator']} of the endpoint no longer exists.")
    _check_models(workspace, entities, creator)
    _check_secrets(workspace, entities, call.principal)
    pending = endpoints.new_config(workspace, document, call.principal.name, entities, traffic)
    deployment.of(workspace).begin(document, pending)
    return _view(call, document["name"])


@routes.add("PUT", f"{_ONE}/ai-gateway")
async def put_gateway(call: Call) -> dict[str, Any]:
    """Replace the whole gateway; the answer is what is stored."""
    workspace, before = call.workspace, _require(call, "CAN_MANAGE")
    check_gateway(call.body)
    document = {**before, "ai_gateway": call.body}
    with workspace.store.transaction():
        inference.open_table(workspace, document, call.principal, before)
        _touch(workspace, document)
    return call.body


@routes.add("PATCH", f"{_ONE}/tags")
async def patch_tags(call: Call) -> dict[str, Any]:
    document = _require(call, "CAN_MANAGE")
    tags = {tag["key"]: tag for tag in document.get("tags", [])}
    for key in call.body.get("delete_tags") or []:
        tags.pop(key, None)
    for tag in call.body.get("add_tags") or []:
        if not isinstance(tag, dict) or not tag.get("key"):
            raise invalid(f"Tag {tag!r} has no key.")
        tags[tag["key"]] = tag
    found = [tags[key] for key in sorted(tags)]
    document = {field: value for field, value in document.items() if field != "tags"}
    _touch(call.workspace, document | ({"tags": found} if found else {}))
    return {"tags": found}


@routes.add("PUT", f"{_ONE}/rate-limits")
async def put_rate_limits(call: Call) -> dict[str, Any]:
    _require(call, "CAN_MANAGE")
    refuse_rate_limits(call.body)
    return {"rate_limits": []}


@routes.add("PATCH", f"{_ONE}/notifications")
async def patch_notifications(call: Call) -> dict[str, Any]:
    document, sent = _require(call, "CAN_MANAGE"), call.body.get("email_notifications") or {}
    kept = {field: value for field, value in document.items() if field != "email_notifications"}
    _touch(call.workspace, kept | ({"email_notifications": sent} if any(sent.values()) else {}))
    return {"name": document["name"], "email_notifications": sent}


@routes.add("GET", f"{_ONE}/served-models/{{served}}/logs")
async def logs(call: Call) -> dict[str, Any]:
    """Return the output of the scoring process."""
    return {"logs": deployment.of(call.workspace).fleet.log(_served(call))}


@routes.add("GET", f"{_ONE}/served-models/{{served}}/build-logs")
async def build_logs(call: Call) -> dict[str, Any]:
    """Say what an image would be built from: here nothing builds one."""
    return {"logs": scoring.build_log(call.workspace, _served(call)["spec"])}


def _served(call: Call) -> Document:
    """Return the served entity that the path names, of the next config before the present one."""
    document = _require(call, "CAN_VIEW")
    for config in (document["pending"], document["config"]):
        for entity in (config or {}).get("entities", []):
            if entity["spec"]["name"] == call.path["served"]:
                found: Document = entity
                return found
    raise not_found(f"Endpoint '{document['name']}' has no served entity '{call.path['served']}'.")


@routes.add("GET", f"{_ONE}/metrics")
async def metrics(call: Call) -> Response:
    document = _require(call, "CAN_VIEW")
    return PlainTextResponse(invocations.of(call.workspace).metrics.text(document["name"]))


@routes.add("GET", f"{_ONE}/openapi")
async def openapi(call: Call) -> dict[str, Any]:
    return describe(call.workspace, _require(call, "CAN_QUERY"))


def _require(call: Call, level: str) -> Document:
    return documents.require(call.workspace, call.principal, ENDPOINT, call.path["name"], level)


def _touch(workspace: Workspace, document: Document) -> None:
    endpoints.put(workspace, {**document, "last_updated_timestamp": workspace.now_ms()})


def _check_models(workspace: Workspace, entities: list[Document], creator: Principal) -> None:
    """Refuse versions that are not READY, or that the endpoint's creator may not execute.

    The creator must also be allowed to read the secrets that they get.
    """
    for entity in entities:
        access.require(workspace, creator, "models", entity["entity_name"], "EXECUTE", access.OWN)
        versions.ready(workspace, entity["entity_name"], entity["entity_version"])
    _check_secrets(workspace, entities, creator)


def _check_secrets(workspace: Workspace, entities: list[Document], who: Principal) -> None:
    for entity in entities:
        secret_scopes.check(workspace, who, entity.get("environment_vars") or {})


def _view(call: Call, name: str) -> dict[str, Any]:
    return _answer(call, documents.get(call.workspace, ENDPOINT, name))


def _answer(call: Call, document: Document) -> dict[str, Any]:
    config = document["config"]
    ready = bool(config) and deployment.of(call.workspace).fleet.ready(config["entities"])
    name = document["name"]
    level = documents.level(call.workspace, call.principal, ENDPOINT, name, document)
    return endpoints.view(call.workspace, document, str(level), ready=ready)
