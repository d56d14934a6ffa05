"""Experiments, runs and logged models: a real ``mlflow server`` behind ``/api/2.0/mlflow``.

Requests go to it as they are, with two differences to what it does by itself: a logged model's
artifact URI reads as on Databricks, and an experiment's name must be a workspace path.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from dataclasses import dataclass

import httpx
from starlette.responses import Response

from .children import Child, free_port
from .errors import ApiError, invalid
from .routing import Call, Routes
from .workspace import Workspace

routes = Routes()

_START_LIMIT_S = 180.0
_REQUEST_LIMIT_S = 120.0
_LOGGED_MODEL = re.compile(r"(dbfs:/databricks/mlflow-tracking/[^/\"]+)/models/([^/\"]+)/artifacts")
_log = logging.getLogger(__name__)


@dataclass
class _Server:
    child: Child
    client: httpx.AsyncClient
    ready: asyncio.Task[None]


async def startup(workspace: Workspace) -> None:
    """Start the server; requests wait until it answers."""
    port = free_port()
    database = workspace.folder / "mlflow.sqlite"
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{database}", "--no-serve-artifacts"]
    argv += ["--default-artifact-root", "dbfs:/databricks/mlflow-tracking", "--workers", "1"]
    log = workspace.logs / "mlflow.log"
    child = Child.start("mlflow server", argv, _environment(), log, workspace.folder)
    url = f"http://127.0.0.1:{port}"
    workspace.runtime["tracking"] = _Server(
        child,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=_REQUEST_LIMIT_S),
        asyncio.create_task(child.wait_healthy(f"{url}/health", _START_LIMIT_S)),
    )


async def shutdown(workspace: Workspace) -> None:
    server: _Server = workspace.runtime.pop("tracking")
    server.ready.cancel()
    await server.client.aclose()
    await asyncio.to_thread(server.child.stop)


async def wait_ready(workspace: Workspace) -> None:
    """Return when the server answers.

    Raises
    ------
    ChildError
        It could not be started.
    """
    server: _Server = workspace.runtime["tracking"]
    await asyncio.shield(server.ready)


def _environment() -> dict[str, str]:
    """Ours, without what would point the server to another store or to a workspace."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_", "DATABRICKS_"))
    }
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    return kept | quiet | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@routes.add("POST", "/api/2.0/mlflow/experiments/create")
async def create_experiment(call: Call) -> Response:
    """Experiments are objects of the workspace: their names are paths."""
    _check_experiment(call.need("name"))
    return await forward(call)


@routes.add("POST", "/api/2.0/mlflow/experiments/update")
async def rename_experiment(call: Call) -> Response:
    _check_experiment(call.need("new_name"))
    return await forward(call)


def _check_experiment(name: object) -> None:
    if not isinstance(name, str) or not name.startswith(("/Shared/", "/Users/", "/Workspace/")):
        raise invalid(
            f"Experiment name {name!r} is not a workspace path: use /Shared/<name> "
            "or /Users/<user>/<name>."
        )


async def forward(call: Call) -> Response:
    """The server's answer to the same request."""
    await wait_ready(call.workspace)
    server: _Server = call.workspace.runtime["tracking"]
    try:
        answer = await server.client.request(
            call.request.method,
            call.request.url.path,
            params=call.request.url.query,
            content=call.raw,
            headers={"Content-Type": "application/json"},
        )
    except httpx.HTTPError as error:
        _log.exception("mlflow server")
        raise ApiError(
            503, "TEMPORARILY_UNAVAILABLE", f"mlflow server: {type(error).__name__}"
        ) from error
    return Response(
        _LOGGED_MODEL.sub(r"\1/logged_models/\2", answer.text),
        answer.status_code,
        media_type=answer.headers.get("Content-Type", "application/json"),
    )


def _register(areas: dict[str, tuple[str, ...]]) -> None:
    for area, methods in areas.items():
        for method in methods:
            routes.add(method, f"/api/2.0/mlflow/{area}/{{rest:path}}")(forward)


_AREAS: dict[str, tuple[str, ...]] = {
    "experiments": ("GET", "POST"),
    "runs": ("GET", "POST"),
    "metrics": ("GET",),
    "logged-models": ("GET", "POST", "PATCH", "DELETE"),
    "traces": ("GET", "POST", "PATCH", "DELETE"),
}
_register(_AREAS)
routes.add("POST", "/api/2.0/mlflow/logged-models")(forward)
