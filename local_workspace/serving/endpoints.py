"""Serving endpoints as the store keeps them, and as callers see them.

An endpoint is one document: its echoed fields, the ``config`` that serves, the ``pending`` one that
is being rolled out or has failed. A served entity has an id of its own: inference tables name it.
"""

from __future__ import annotations

import json
from typing import Any

from ..core.errors import forbidden, not_found
from ..core.store import Document
from ..core.workspace import WORKSPACE_ID, Principal, Workspace
from .spec import ECHOED

IN_PROGRESS, NOT_UPDATING, UPDATE_FAILED = "IN_PROGRESS", "NOT_UPDATING", "UPDATE_FAILED"
CREATING, READY, FAILED = "DEPLOYMENT_CREATING", "DEPLOYMENT_READY", "DEPLOYMENT_FAILED"

LEVELS = ("CAN_VIEW", "CAN_QUERY", "CAN_MANAGE")
"""Permission levels, lowest first; each includes those before it."""

ACL_FIELDS = ("user_name", "group_name", "service_principal_name")

KIND, _ACL = "endpoints", "endpoint_acl"


def get(workspace: Workspace, name: str) -> Document:
    """The document of an endpoint.

    Raises
    ------
    ApiError
        404 when it does not exist.
    """
    document = workspace.store.get(KIND, name)
    if document is None:
        raise not_found(f"Endpoint with name '{name}' does not exist.")
    return document


def by_id(workspace: Workspace, endpoint_id: str) -> Document:
    """The endpoint with an id of 32 hex digits.

    Raises
    ------
    ApiError
        404 when none has it.
    """
    for _, document in workspace.store.items(KIND):
        if document["id"] == endpoint_id:
            return document
    raise not_found(f"Endpoint with id '{endpoint_id}' does not exist.")


def put(workspace: Workspace, document: Document) -> None:
    workspace.store.put(KIND, str(document["name"]), document)


def level(workspace: Workspace, principal: Principal, document: Document) -> str | None:
    """The caller's highest permission level on an endpoint; ``None`` without any.

    The creator and the group `admins` always manage.
    """
    if principal.is_admin or principal.name == document["creator"]:
        return "CAN_MANAGE"
    names = {principal.name.lower(), *(group.lower() for group in principal.groups)}
    found = [
        entry["permission_level"]
        for entry in acl(workspace, document["id"])
        if acl_principal(entry).lower() in names
    ]
    return max(found, key=LEVELS.index, default=None)


def acl(workspace: Workspace, endpoint_id: str) -> list[Document]:
    """Entries of the access control list: one of :data:`ACL_FIELDS` and ``permission_level``."""
    entries: list[Document] = (workspace.store.get(_ACL, endpoint_id) or {}).get("entries", [])
    return entries


def put_acl(workspace: Workspace, endpoint_id: str, entries: list[Document]) -> None:
    workspace.store.put(_ACL, endpoint_id, {"entries": entries})


def acl_principal(entry: Document) -> str:
    """Whom an entry is about."""
    return str(next(entry[field] for field in ACL_FIELDS if field in entry))


def delete(workspace: Workspace, document: Document) -> None:
    """Forget an endpoint and its access control list."""
    with workspace.store.transaction():
        workspace.store.delete(_ACL, document["id"])
        workspace.store.delete(KIND, document["name"])


def require(workspace: Workspace, principal: Principal, name: str, needed: str) -> Document:
    """An endpoint that the caller may use at a permission level.

    Raises
    ------
    ApiError
        404 when it does not exist, 403 below the level.
    """
    document = get(workspace, name)
    have = level(workspace, principal, document)
    if have is None or LEVELS.index(have) < LEVELS.index(needed):
        raise forbidden(
            f"{principal.name} does not have {needed} on serving endpoint '{name}'"
            f" (has {have or 'no permission'}). Ask its owner or an admin."
        )
    return document


def new_config(
    workspace: Workspace,
    document: Document,
    owner: str,
    entities: list[Document],
    traffic: Document,
) -> Document:
    """The next config of an endpoint; entities that go on unchanged keep their id."""
    now = workspace.now_ms()
    serving = (document["config"] or {}).get("entities", [])
    kept = {entity["spec"]["name"]: entity for entity in serving}
    rows = []
    for spec in entities:
        same = kept.get(spec["name"])
        if same is not None and same["spec"] == spec:
            rows.append(same)
            continue
        rows.append(
            {
                "id": workspace.new_id(),
                "spec": spec,
                "creator": owner,
                "creation_timestamp": now,
                "state": {"deployment": CREATING, "deployment_state_message": ""},
            }
        )
    return {
        "entities": rows,
        "traffic_config": traffic,
        "config_version": int(document["last_config_version"]) + 1,
        "start_time": now,
    }


def view(workspace: Workspace, document: Document, permission: str, *, ready: bool) -> Document:
    """The endpoint as GET answers it.

    ``config`` is there from the start: until a first deployment is done it shows what is being
    deployed. A failed update stays visible as ``pending_config``, the reason in its entities.
    """
    config, pending = document["config"], document["pending"]
    answer: Document = {
        "name": document["name"],
        "id": document["id"],
        "creator": document["creator"],
        "creation_timestamp": document["creation_timestamp"],
        "last_updated_timestamp": document["last_updated_timestamp"],
        "state": {
            "ready": "READY" if ready else "NOT_READY",
            "config_update": document["update"],
        },
        "config": _config(config or pending or {}),
        "permission_level": permission,
        "endpoint_url": f"{workspace.url}/serving-endpoints/{document['name']}/invocations",
        **{field: document[field] for field in ECHOED if field in document},
    }
    if document.get("route_optimized"):
        url = f"{workspace.url}/{WORKSPACE_ID}/serving-endpoints/{document['name']}/invocations"
        query = {"authorization_details": query_permission(document), "endpoint_url": url}
        answer |= {"endpoint_url": url, "data_plane_info": {"query_info": query}}
    if pending is not None:
        answer["pending_config"] = {**_config(pending), "start_time": pending["start_time"]}
    return answer


def query_permission(document: Document) -> str:
    """The authorization details that a token for the endpoint's data plane has."""
    permission = {
        "type": "workspace_permission",
        "object_type": "serving-endpoints",
        "object_path": f"/serving-endpoints/{document['id']}",
        "actions": ["query_inference_endpoint"],
    }
    return json.dumps([permission])


def _config(config: Document) -> dict[str, Any]:
    entities = [
        {
            **entity["spec"],
            "creator": entity["creator"],
            "creation_timestamp": entity["creation_timestamp"],
            "state": entity["state"],
        }
        for entity in config["entities"]
    ]
    return {
        "served_entities": entities,
        "traffic_config": config["traffic_config"],
        "config_version": config["config_version"],
    }
