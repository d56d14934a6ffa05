"""Experiments, runs and logged models: a real ``mlflow server`` behind ``/api/2.0/mlflow``.

Of its answers, a logged model's artifact URI is made to read as on Databricks. A server that has
died is started again by the next request. Which calls reach it, and whose, is in
:mod:`.experiments` and :mod:`.runs`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httpx
from starlette.responses import Response

from ..core.children import Child, ChildError, environment_without, free_port
from ..core.errors import ApiError
from ..core.routing import Call, Routes
from ..core.workspace import Workspace

routes = Routes()

_START_LIMIT_S = 600.0  # where other work shares the cores; one that ended is told at once
_REQUEST_LIMIT_S = 120.0
_LOGGED_MODEL = re.compile(r"(dbfs:/databricks/mlflow-tracking/[^/\"]+)/models/([^/\"]+)/artifacts")
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
_log = logging.getLogger(__name__)


@dataclass
class _Server:
    child: Child
    client: httpx.AsyncClient
    ready: asyncio.Task[None]


async def startup(workspace: Workspace) -> None:
    """Start the server; requests wait until it answers."""
    workspace.runtime["tracking"] = _start(workspace)


def _start(workspace: Workspace) -> _Server:
    port = free_port()
    database = workspace.folder / "mlflow.sqlite"
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{database}", "--no-serve-artifacts"]
    argv += ["--default-artifact-root", "dbfs:/databricks/mlflow-tracking", "--workers", "1"]
    log = workspace.logs / "mlflow.log"
    # Nothing may point the server to another store or to a workspace.
    environment = environment_without("MLFLOW_", "DATABRICKS_") | _QUIET
    child = Child.start("mlflow server", argv, environment, log, workspace.folder)
    url = f"http://127.0.0.1:{port}"
    return _Server(
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


async def _revive(workspace: Workspace) -> None:
    """Start the server again when it has died since it was ready."""
    server: _Server = workspace.runtime["tracking"]
    if server.ready.done() and not server.child.alive:
        _log.warning("mlflow server has died and is started again. %s", server.child.tail())
        workspace.runtime["tracking"] = _start(workspace)
        await server.client.aclose()


async def forward(call: Call) -> Response:
    """Return the server's answer to a request, written anew from what was checked of it.

    The server reads either a query or a body: a GET carries no body, another method no query.
    """
    method, path = call.request.method, quote(call.request.scope["path"])
    if method == "GET":
        query = urlencode(call.request.query_params.multi_items())
        return await ask(call.workspace, method, path, query)
    return await ask(call.workspace, method, path, "", json.dumps(call.body).encode())


async def ask(
    workspace: Workspace, method: str, path: str, query: str, content: bytes = b""
) -> Response:
    """Return the server's answer to a request.

    Raises
    ------
    ApiError
        503 when it dies over the request or cannot be started.
    """
    try:
        await _revive(workspace)
        await wait_ready(workspace)
        server: _Server = workspace.runtime["tracking"]
        answer = await server.client.request(
            method,
            path,
            params=query,
            content=content,
            headers={"Content-Type": "application/json"},
        )
    except (httpx.HTTPError, ChildError) as error:
        _log.exception("mlflow server")
        raise ApiError(
            503, "TEMPORARILY_UNAVAILABLE", f"mlflow server: {type(error).__name__}"
        ) from error
    return Response(
        _LOGGED_MODEL.sub(r"\1/logged_models/\2", answer.text),
        answer.status_code,
        media_type=answer.headers.get("Content-Type", "application/json"),
    )
