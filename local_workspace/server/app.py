"""The application: every request takes the same way, whichever API area answers it.

Recorder, authentication, route, faults before, authorisation, handler, faults after.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, compile_path
from starlette.types import Message, Receive, Scope, Send

from ..core.errors import ApiError, invalid
from ..core.routing import Call, Route
from ..core.workspace import WORKSPACE_ID, Principal, Workspace
from ..identity import principals
from . import faults
from .control import PREFIX
from .faults import ConnectionDropped
from .recorder import BODY_LIMIT, Recorder

AREAS = (
    "identity.scim",
    "identity.oauth",
    "catalog.api",
    "catalog.model_api",
    "catalog.grants",
    "catalog.registry",
    "tracking.experiments",
    "tracking.runs",
    "tracking.mlflow_server",
    "catalog.files",
    "catalog.uploads",
    "server.control",
    "identity.secret_scopes",
    "serving.api",
    "serving.invocations",
    "sql.warehouses",
    "sql.statements",
    "sql.queries",
    "alerts.destinations",
    "alerts.outbox",
    "objects.folders",
    "alerts.api",
    "alerts.evaluation",
    "objects.dashboards",
    "jobs.api",
    "jobs.runs",
    "objects.permissions",
    "jobs.scheduler",
)

_Routes = list[tuple[re.Pattern[str], Route]]

_NOBODY = Principal("", "")
_DISCOVERY = "/.well-known/databricks-config"
_log = logging.getLogger(__name__)


def create_app(workspace: Workspace, leave_out: Collection[str] = ()) -> Starlette:
    """Return the server of one instance.

    Parameters
    ----------
    workspace
        Seeded here when its store is empty.
    leave_out
        API areas to do without, for tests that need no child processes.
    """
    principals.seed(workspace)
    recorder = Recorder(workspace.logs / "requests.jsonl", lambda: principals.tokens(workspace))
    workspace.runtime["recorder"] = recorder
    modules = [
        importlib.import_module(f"..{area}", __package__) for area in AREAS if area not in leave_out
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started: list[ModuleType] = []
        try:
            for module in modules:
                if hasattr(module, "startup"):
                    await module.startup(workspace)
                started.append(module)
            yield
        finally:
            for module in reversed(started):
                if hasattr(module, "shutdown"):
                    await module.shutdown(workspace)

    routes = [
        (compile_path(route.pattern)[0], route)
        for module in modules
        for route in module.routes.table
    ]
    return Starlette(routes=[Mount("/", app=_Gate(workspace, recorder, routes))], lifespan=lifespan)


@dataclass
class _Exchange:
    """One request on its way; the recorder writes it down."""

    request: Request
    principal: Principal = _NOBODY
    raw: bytes = b""
    status: int = 0


class _Gate:
    """The one way that every request takes."""

    def __init__(self, workspace: Workspace, recorder: Recorder, routes: _Routes) -> None:
        self._workspace, self._recorder, self._routes = workspace, recorder, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, exchange = time.time(), _Exchange(Request(scope, receive))

        async def send_noting_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            await send(message)

        try:
            response = await self._respond(exchange)
            response.headers.setdefault("x-request-id", str(uuid.uuid4()))
            response.headers["X-Databricks-Org-Id"] = WORKSPACE_ID
            await response(scope, receive, send_noting_status)
        except ConnectionDropped:
            await _drop(exchange.request)
        except ClientDisconnect:
            _log.info("client went away: %s %s", scope["method"], scope["path"])
        finally:
            self._record(exchange, started)

    async def _respond(self, exchange: _Exchange) -> Response:
        """Return the answer to a request; every refusal and every mistake of ours becomes one."""
        try:
            return await self._answer(exchange)
        except ApiError as error:
            return error.response()
        except (ConnectionDropped, ClientDisconnect):
            raise
        except Exception:  # noqa: BLE001 - a mistake of ours is an answer, too
            request = exchange.request
            _log.exception("%s %s", request.method, request.scope["path"])
            message = "Internal error of the local workspace; its server log has the traceback."
            return JSONResponse({"error_code": "INTERNAL_ERROR", "message": message}, 500)

    async def _answer(self, exchange: _Exchange) -> Response:
        request, workspace = exchange.request, self._workspace
        method, path = request.method, request.scope["path"]
        route, parameters = self._find(method, path)
        if route is None or not route.public:
            header = request.headers.get("authorization")
            exchange.principal = principals.authenticate(workspace, header)
        if not {".", ".."}.isdisjoint(path.split("/")):
            raise invalid(f"Path {path!r}: '.' and '..' segments are not allowed.")
        if route is None:
            raise self._unknown(method, path)
        faulty = not path.startswith(PREFIX) and path != _DISCOVERY
        if not route.stream:
            exchange.raw = await request.body()
        if faulty and (fault := await faults.apply(workspace, "before", method, path)):
            return fault
        call = Call(workspace, exchange.principal, request, parameters, exchange.raw)
        route.rule(call)
        result = await route.handler(call)
        if faulty and (fault := await faults.apply(workspace, "after", method, path)):
            return fault
        return result if isinstance(result, Response) else JSONResponse(result or {})

    def _find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        for pattern, route in self._routes:
            if route.method == method and (match := pattern.match(path)):
                return route, match.groupdict()
        return None, {}

    def _unknown(self, method: str, path: str) -> ApiError:
        with (self._workspace.logs / "unknown_routes.log").open("a", encoding="utf-8") as log:
            log.write(f"{method} {path}\n")
        _log.warning("no route: %s %s", method, path)
        return ApiError(
            501, "NOT_IMPLEMENTED", f"The local workspace does not implement {method} {path}"
        )

    def _record(self, exchange: _Exchange, started: float) -> None:
        request = exchange.request
        path = request.scope["path"]
        if path.startswith(PREFIX) or path == _DISCOVERY:
            return
        size = request.headers.get("content-length")
        entry: dict[str, Any] = {
            "time_ms": int(started * 1000),
            "duration_ms": round((time.time() - started) * 1000, 1),
            "method": request.method,
            "path": path,
            "principal": exchange.principal.name,
            "status": exchange.status,
            "user_agent": request.headers.get("user-agent", ""),
            "body_bytes": int(size) if size else len(exchange.raw),
            "body_cut": len(exchange.raw) > BODY_LIMIT,
        }
        self._recorder.add(entry, request.scope["query_string"].decode("latin-1"), exchange.raw)


async def _drop(request: Request) -> None:
    """Close the connection at once, the way a network does.

    The server puts its transport into the request's state (:mod:`.process`); without a server, as
    in tests in one process, the caller gets the error.
    """
    transport = request.scope.get("state", {}).get("transport")
    if transport is None:
        raise ConnectionResetError("connection dropped by a fault rule")
    transport.abort()
    await asyncio.sleep(0)  # lets the server notice
