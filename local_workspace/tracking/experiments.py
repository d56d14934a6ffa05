"""Experiments as objects of the workspace, which the MLflow server knows nothing about.

Their names are workspace paths; a deleted one is gone for those who ask, and its name is free. All
else is the MLflow server's (:mod:`.mlflow_server`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from ..catalog import files
from ..core.errors import invalid
from ..core.routing import Call, Routes
from ..objects import documents, folders
from ..objects.documents import EXPERIMENT
from .access import MANAGE, READ, require
from .mlflow_server import ask, forward

routes = Routes()

_BASE = "/api/2.0/mlflow/experiments"
_PREFIX = "/Workspace"
_VOLUME = "dbfs:/Volumes/"
_PAGE = 1000


@routes.add("POST", f"{_BASE}/create")
async def create(call: Call) -> Response:
    fields = {"name": _path(call, call.need("name")), "tags": call.body.get("tags") or []}
    if location := call.body.get("artifact_location"):
        fields["artifact_location"] = _location(call, location)
    answer = await forward(replace(call, raw=json.dumps(fields).encode()))
    if answer.status_code == 200:
        made = str(json.loads(bytes(answer.body))["experiment_id"])
        document = {
            "id": made,
            "name": fields["name"],
            "owner": call.principal.name,
            "created_at": call.workspace.now_ms(),
        }
        documents.put(call.workspace, EXPERIMENT, made, document)
    return answer


@routes.add("POST", f"{_BASE}/update")
async def rename(call: Call) -> Response:
    await require(call, MANAGE)
    experiment_id, name = str(call.need("experiment_id")), _path(call, call.need("new_name"))
    answer = await _rename(call, experiment_id, name)
    if answer.status_code == 200:
        _note(call, experiment_id, name=name)
    return answer


@routes.add("GET", f"{_BASE}/get")
async def get(call: Call) -> Response:
    await require(call, READ)
    return await forward(call)


@routes.add("GET", f"{_BASE}/get-by-name")
async def get_by_name(call: Call) -> Response:
    name = call.query.get("experiment_name", "")
    query = urlencode({"experiment_name": name.removeprefix(_PREFIX)})
    answer = await ask(call.workspace, "GET", f"{_BASE}/get-by-name", query)
    if answer.status_code == 200:
        found = str(json.loads(bytes(answer.body))["experiment"]["experiment_id"])
        documents.require(call.workspace, call.principal, EXPERIMENT, found, READ)
    return answer


@routes.add("GET", f"{_BASE}/list", f"{_BASE}/search")
@routes.add("POST", f"{_BASE}/search")
async def search(call: Call) -> Response:
    """Return the experiments that the caller may read; a page may so hold fewer than asked for."""
    asked: dict[str, Any] = call.query | call.body
    if asked.get("max_results") in (None, 0, "0"):
        asked["max_results"] = _PAGE
    body = json.dumps(asked).encode()
    answer = await ask(call.workspace, "POST", f"{_BASE}/search", "", body)
    if answer.status_code != 200:
        return answer
    found = json.loads(bytes(answer.body))
    listed = [each for each in found.get("experiments", []) if _visible(call, each)]
    return JSONResponse(found | {"experiments": listed})


def _visible(call: Call, experiment: dict[str, Any]) -> bool:
    key = experiment["experiment_id"]
    document = call.workspace.store.get(EXPERIMENT.name, key)
    return document is not None and bool(
        documents.level(call.workspace, call.principal, EXPERIMENT, key, document)
    )


@routes.add("POST", f"{_BASE}/delete")
async def delete(call: Call) -> Response:
    """Move it out of the way of a later one of the same name, then delete it."""
    await require(call, MANAGE)
    experiment_id = str(call.need("experiment_id"))
    name = await _name(call, experiment_id)
    await _rename(call, experiment_id, f"{name}{_mark(experiment_id)}")
    _note(call, experiment_id, deleted=True)
    return await forward(call)


@routes.add("POST", f"{_BASE}/restore")
async def restore(call: Call) -> Response:
    experiment_id = str(call.need("experiment_id"))
    documents.require(
        call.workspace, call.principal, EXPERIMENT, experiment_id, MANAGE, deleted=True
    )
    answer = await forward(call)
    if answer.status_code == 200:
        _note(call, experiment_id, deleted=False)
        name = await _name(call, experiment_id)
        return await _rename(call, experiment_id, name.removesuffix(_mark(experiment_id)))
    return answer


async def _name(call: Call, experiment_id: str) -> str:
    query = urlencode({"experiment_id": experiment_id})
    found = await ask(call.workspace, "GET", f"{_BASE}/get", query)
    return str(json.loads(bytes(found.body))["experiment"]["name"])


async def _rename(call: Call, experiment_id: str, name: str) -> Response:
    body = json.dumps({"experiment_id": experiment_id, "new_name": name}).encode()
    return await ask(call.workspace, "POST", f"{_BASE}/update", "", body)


def _note(call: Call, experiment_id: str, **changes: object) -> None:
    """Keep name and deletion where other objects of the workspace keep them."""
    known = call.workspace.store.get(EXPERIMENT.name, experiment_id) or {}
    documents.put(call.workspace, EXPERIMENT, experiment_id, known | changes)


def _mark(experiment_id: str) -> str:
    return f" (deleted {experiment_id})"


def _path(call: Call, name: object) -> str:
    """Return the name as the workspace keeps it; refuse one that is no path of the caller's."""
    allowed = ("/Shared/", "/Users/", f"{_PREFIX}/")
    if not isinstance(name, str) or not name.startswith(allowed):
        raise invalid(
            f"Experiment name {name!r} is not a workspace path: use /Shared/<name> "
            "or /Users/<user>/<name>."
        )
    return folders.writable(call.principal, name)


def _location(call: Call, location: object) -> str:
    """Return a place for artifacts; it must lie in a volume that the caller may write to."""
    if not isinstance(location, str) or not location.startswith(_VOLUME):
        raise invalid(
            f"artifact_location {location!r}: the local workspace keeps artifacts itself, or in a "
            f"volume: leave it out, or use {_VOLUME}catalog/schema/volume/folder."
        )
    path = location.removeprefix("dbfs:")
    files.authorise(call.workspace, call.principal, path, write=True)
    return location
