"""SQL warehouses: ``/api/2.0/sql/warehouses``.

A warehouse here is a name with settings and a state: every one of them runs its statements in this
process. One is there from the start and open to everybody.
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from ..catalog.access import admin
from ..core.errors import already_exists, invalid
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from ..objects import documents
from ..objects.documents import WAREHOUSE

routes = Routes()

WAREHOUSE_ID = "0123456789abcdef"
"""The warehouse that is there from the start."""

_SCALE = ("2X-Small", "X-Small", "Small", "Medium", "Large")
SIZES = (*_SCALE, "X-Large", "2X-Large", "3X-Large", "4X-Large", "5X-Large")

_BASE = "/api/2.0/sql/warehouses"
_ONE = f"{_BASE}/{{id}}"
_SETTINGS = (
    *("name", "cluster_size", "auto_stop_mins", "min_num_clusters", "max_num_clusters"),
    *("enable_photon", "enable_serverless_compute", "warehouse_type", "spot_instance_policy"),
    *("channel", "tags", "instance_profile_arn"),
)
_DEFAULTS = {"cluster_size": "2X-Small", "auto_stop_mins": 120, "max_num_clusters": 1}
_CLUSTERS = 40
_STARTER = {
    "name": "Serverless Starter Warehouse",
    "cluster_size": "2X-Small",
    "auto_stop_mins": 10,
    "max_num_clusters": 1,
    "enable_photon": True,
    "spot_instance_policy": "COST_OPTIMIZED",
}


async def startup(workspace: Workspace) -> None:
    """Make the first warehouse, once: one that was deleted stays so."""
    if workspace.store.get(WAREHOUSE.name, WAREHOUSE_ID) is None:
        _put_new(workspace, WAREHOUSE_ID, "admin@local.test", _STARTER)
        everybody = {"group_name": "users", "permission_level": "CAN_USE"}
        documents.put_acl(workspace, WAREHOUSE, WAREHOUSE_ID, [everybody])


def use(workspace: Workspace, principal: Principal, warehouse_id: object) -> None:
    """Check that a principal may run statements in a warehouse; a stopped one starts.

    Raises
    ------
    ApiError
        404 when it does not exist, 403 without CAN_USE.
    """
    found = documents.require(workspace, principal, WAREHOUSE, str(warehouse_id), "CAN_USE")
    if found["state"] != "RUNNING":
        _set_state(workspace, found, "RUNNING")


@routes.add("POST", _BASE, rule=admin)
async def create(call: Call) -> dict[str, Any]:
    sent = _DEFAULTS | {key: call.body[key] for key in _SETTINGS if key in call.body}
    _check(call.workspace, sent)
    warehouse_id = uuid.uuid4().hex[:16]
    _put_new(call.workspace, warehouse_id, call.principal.name, sent)
    return {"id": warehouse_id}


@routes.add("GET", _BASE)
async def list_all(call: Call) -> dict[str, Any]:
    found = documents.visible(call.workspace, call.principal, WAREHOUSE)
    return {"warehouses": [_view(call.workspace, document) for document in found]}


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return _view(call.workspace, documents.called(call, WAREHOUSE, "CAN_VIEW"))


@routes.add("POST", f"{_ONE}/edit")
async def edit(call: Call) -> dict[str, Any]:
    """Change what the body carries; what it leaves out stays."""
    found = documents.called(call, WAREHOUSE, "CAN_MANAGE")
    changed = {key: call.body[key] for key in _SETTINGS if key in call.body}
    settings = found["settings"] | changed
    _check(call.workspace, settings, found["id"])
    documents.put(call.workspace, WAREHOUSE, found["id"], {**found, "settings": settings})
    return {}


@routes.add("POST", f"{_ONE}/start")
async def start(call: Call) -> dict[str, Any]:
    found = documents.called(call, WAREHOUSE, "CAN_USE")
    _set_state(call.workspace, found, "RUNNING")
    return {}


@routes.add("POST", f"{_ONE}/stop")
async def stop(call: Call) -> dict[str, Any]:
    found = documents.called(call, WAREHOUSE, "CAN_MANAGE")
    _set_state(call.workspace, found, "STOPPED")
    return {}


@routes.add("DELETE", _ONE)
async def delete(call: Call) -> dict[str, Any]:
    found = documents.called(call, WAREHOUSE, "CAN_MANAGE")
    documents.delete(call.workspace, WAREHOUSE, found["id"])
    if found["id"] == WAREHOUSE_ID:
        documents.put(call.workspace, WAREHOUSE, WAREHOUSE_ID, {"deleted": True})
    return {}


@routes.add("GET", "/api/2.0/preview/sql/data_sources")
async def data_sources(call: Call) -> Response:
    """List warehouses under the ids that old dashboards and queries use."""
    return JSONResponse(
        [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, document["id"])),
                "name": document["settings"]["name"],
                "warehouse_id": document["id"],
                "type": "databricks_internal",
            }
            for document in documents.visible(call.workspace, call.principal, WAREHOUSE)
        ]
    )


def _put_new(workspace: Workspace, warehouse_id: str, owner: str, settings: Document) -> None:
    document = {
        "id": warehouse_id,
        "owner": owner,
        "created_at": workspace.now_ms(),
        "state": "RUNNING",
        "settings": settings,
    }
    documents.put(workspace, WAREHOUSE, warehouse_id, document)


def _set_state(workspace: Workspace, document: Document, state: str) -> None:
    documents.put(workspace, WAREHOUSE, document["id"], {**document, "state": state})


def _check(workspace: Workspace, settings: Document, own_id: str = "") -> None:
    name, size = settings.get("name"), settings["cluster_size"]
    if not isinstance(name, str) or not 0 < len(name) <= 100:
        raise invalid(f"name {name!r} of a SQL warehouse: 1 to 100 characters.")
    for key, other in workspace.store.items(WAREHOUSE.name):
        if not other.get("deleted") and key != own_id and other["settings"]["name"] == name:
            raise already_exists(f"SQL warehouse with name '{name}' already exists: {key}.")
    if size not in SIZES:
        raise invalid(f"cluster_size {size!r} is not one of {', '.join(SIZES)}.")
    least, most = settings.get("min_num_clusters", 1), settings["max_num_clusters"]
    if (
        not isinstance(least, int)
        or not isinstance(most, int)
        or not 1 <= least <= most <= _CLUSTERS
    ):
        raise invalid(
            f"min_num_clusters {least}, max_num_clusters {most}: "
            f"1 <= min_num_clusters <= max_num_clusters <= {_CLUSTERS}."
        )
    minutes = settings["auto_stop_mins"]
    if not isinstance(minutes, int) or minutes < 0:
        raise invalid(f"auto_stop_mins {minutes!r} must be a whole number; 0 means never.")


def _view(workspace: Workspace, document: Document) -> dict[str, Any]:
    host, _, port = workspace.url.rpartition("/")[2].partition(":")
    path, running = f"/sql/1.0/warehouses/{document['id']}", document["state"] == "RUNNING"
    return {
        "enable_serverless_compute": True,
        "min_num_clusters": 1,
        "warehouse_type": "PRO",
        **document["settings"],
        "id": document["id"],
        "state": document["state"],
        "creator_name": document["owner"],
        "num_clusters": int(running),
        "num_active_sessions": 0,
        "health": {"status": "HEALTHY"} if running else {},
        "jdbc_url": f"jdbc:databricks://{host}:{port};httpPath={path}",
        "odbc_params": {"hostname": host, "path": path, "protocol": "http", "port": int(port)},
    }
