"""Serving endpoints as the store keeps them, and as callers see them.

An endpoint is one document: its echoed fields, the ``config`` that serves, the ``pending`` one that
is being rolled out or has failed. A served entity has an id of its own: inference tables name it.
"""

from __future__ import annotations

import json
from typing import Any

from ..core.store import Document
from ..core.workspace import WORKSPACE_ID, Workspace
from ..objects import documents
from ..objects.documents import ENDPOINT
from .spec import ECHOED

IN_PROGRESS, NOT_UPDATING, UPDATE_FAILED = "IN_PROGRESS", "NOT_UPDATING", "UPDATE_FAILED"
CREATING, READY, FAILED = "DEPLOYMENT_CREATING", "DEPLOYMENT_READY", "DEPLOYMENT_FAILED"


def put(workspace: Workspace, document: Document) -> None:
    documents.put(workspace, ENDPOINT, str(document["name"]), document)


def new_config(
    workspace: Workspace,
    document: Document,
    owner: str,
    entities: list[Document],
    traffic: Document,
) -> Document:
    """Return the next config of an endpoint; entities that go on unchanged keep their id."""
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
    """Return the endpoint as GET answers it.

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
    """Return the authorization details that a token for the endpoint's data plane has."""
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
        # Kept by endpoints from before such tables could no longer be enabled.
        **{name: config[name] for name in ("auto_capture_config",) if name in config},
    }
