"""Experiments as objects of the workspace, which the MLflow server knows nothing about.

Their names are workspace paths; a deleted one is gone for those who ask, and its name is free. All
else is the MLflow server's (:mod:`.mlflow_server`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import urlencode

from starlette.responses import Response

from ..core.errors import invalid, not_found
from ..core.routing import Call, Routes
from ..objects import documents
from .mlflow_server import ask, forward

routes = Routes()

_BASE = "/api/2.0/mlflow/experiments"
_PREFIX = "/Workspace"


@routes.add("POST", f"{_BASE}/create")
async def create(call: Call) -> Response:
    answer = await forward(_with(call, name=_path(call.need("name"))))
    if answer.status_code == 200:
        made = str(json.loads(bytes(answer.body))["experiment_id"])
        document = {"owner": call.principal.name, "created_at": call.workspace.now_ms()}
        documents.put(call.workspace, documents.EXPERIMENT, made, document)
    return answer


@routes.add("POST", f"{_BASE}/update")
async def rename(call: Call) -> Response:
    return await forward(_with(call, new_name=_path(call.need("new_name"))))


@routes.add("GET", f"{_BASE}/get")
async def get(call: Call) -> Response:
    return _unless_deleted(await forward(call))


@routes.add("GET", f"{_BASE}/get-by-name")
async def get_by_name(call: Call) -> Response:
    name = call.query.get("experiment_name", "")
    query = urlencode({"experiment_name": name.removeprefix(_PREFIX)})
    return _unless_deleted(await ask(call.workspace, "GET", f"{_BASE}/get-by-name", query))


@routes.add("POST", f"{_BASE}/delete")
async def delete(call: Call) -> Response:
    """Move it out of the way of a later one of the same name, then delete it."""
    experiment_id = str(call.need("experiment_id"))
    found = await _look(call, experiment_id)
    if found.status_code != 200:
        return found
    name = json.loads(bytes(found.body))["experiment"]["name"]
    await _rename(call, experiment_id, f"{name}{_mark(experiment_id)}")
    _mark_object(call, experiment_id, deleted=True)
    return await forward(call)


@routes.add("POST", f"{_BASE}/restore")
async def restore(call: Call) -> Response:
    answer = await forward(call)
    experiment_id = str(call.need("experiment_id"))
    found = await _look(call, experiment_id)
    if answer.status_code == found.status_code == 200:
        _mark_object(call, experiment_id, deleted=False)
        name = json.loads(bytes(found.body))["experiment"]["name"]
        return await _rename(call, experiment_id, name.removesuffix(_mark(experiment_id)))
    return answer


async def _look(call: Call, experiment_id: str) -> Response:
    query = urlencode({"experiment_id": experiment_id})
    return _unless_deleted(await ask(call.workspace, "GET", f"{_BASE}/get", query))


async def _rename(call: Call, experiment_id: str, name: str) -> Response:
    body = json.dumps({"experiment_id": experiment_id, "new_name": name}).encode()
    return await ask(call.workspace, "POST", f"{_BASE}/update", "", body)


def _mark_object(call: Call, experiment_id: str, *, deleted: bool) -> None:
    """Deleted ones have no access control list to look at."""
    known = call.workspace.store.get(documents.EXPERIMENT.name, experiment_id) or {}
    documents.put(call.workspace, documents.EXPERIMENT, experiment_id, known | {"deleted": deleted})


def _mark(experiment_id: str) -> str:
    return f" (deleted {experiment_id})"


def _unless_deleted(answer: Response) -> Response:
    found = json.loads(bytes(answer.body)).get("experiment", {})
    if found.get("lifecycle_stage") == "deleted":
        return not_found(f"Experiment {found['experiment_id']} was deleted.").response()
    return answer


def _with(call: Call, **changes: str) -> Call:
    return replace(call, raw=json.dumps(call.body | changes).encode())


def _path(name: object) -> str:
    """Return the name as the workspace keeps it; 400 if it is no path."""
    allowed = ("/Shared/", "/Users/", f"{_PREFIX}/")
    if not isinstance(name, str) or not name.startswith(allowed):
        raise invalid(
            f"Experiment name {name!r} is not a workspace path: use /Shared/<name> "
            "or /Users/<user>/<name>."
        )
    return name.removeprefix(_PREFIX)
