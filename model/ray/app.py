"""The HTTP side of a replica: routes, refusals as problem objects, the OpenAPI document."""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from .problems import MEDIA_TYPE, Refusal
from .settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    from .server import Server

_log = logging.getLogger("ray.serve")
VERSION_HEADER = "serve_multiplexed_model_id"
_DRAINED = 16  # times the limit: what is read of a body that is too large, so its sender listens
_REFUSALS = {
    400: "The body is no JSON, or the version's name is malformed.",
    401: "The bearer token is missing or wrong.",
    404: "There is no such version.",
    409: "The version cannot take the place of the default one; with the differences.",
    413: "The body is too large.",
    422: "The body does not follow the signature, or the model refuses its values.",
    500: "The model failed.",
    503: "The version cannot be loaded now, or the registry is away.",
}


def build_app(server: Server) -> FastAPI:
    """Build the application of a replica."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await server.close()

    app = FastAPI(
        title=server.model,
        lifespan=lifespan,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,  # generated clients show it
    )
    app.include_router(_open_routes(server))
    app.include_router(_guarded_routes(server), dependencies=[Depends(_guard(server))])
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(RequestValidationError, _refused_by_framework)
    app.add_exception_handler(Exception, _failed)
    documents: dict[tuple[int, str], dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        key = (server.default.number, app.root_path)
        if key not in documents:
            documents[key] = _document(app, server)
        return documents[key]

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _open_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health/live", summary="A replica runs")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get(
        "/health/ready",
        summary="The default version answers",
        responses={503: _problem_response(_REFUSALS[503])},
    )
    async def ready() -> dict[str, Any]:
        await server.check_health()
        return {"status": "ready", "default_version": server.default.number}

    return router


def _guarded_routes(server: Server) -> APIRouter:
    router = APIRouter()

    async def answer(request: Request) -> Response:
        body = await _body(request, server.settings.max_body_bytes)
        found = await server.answer(
            body,
            _asked(request),
            request.headers,
            request_id_of(request),
            "bearer" if server.token else "loopback",
        )
        headers = {"X-Model-Version": str(found.version), "X-Model-Digest": found.digest}
        return Response(found.body, media_type="application/json", headers=headers)

    router.post("/serve", summary="Ask the model", tags=["model"])(answer)
    router.post("/serve/", include_in_schema=False)(answer)

    @router.get(
        "/versions",
        tags=["model"],
        summary="The default version, and those that are loaded",
        responses={401: _problem_response(_REFUSALS[401])},
    )
    async def versions() -> dict[str, Any]:
        return {
            "model": server.model,
            "default": server.default.number,
            "loaded": server.places.loaded,
        }

    if server.settings.split is not None:

        @router.get(
            "/split",
            tags=["model"],
            summary="The verdict on the second version",
            responses={401: _problem_response(_REFUSALS[401])},
        )
        async def split() -> dict[str, Any]:
            return await server.tally()

    return router


def _guard(server: Server) -> Any:
    async def guard(request: Request) -> None:
        """Let in who has the token; without one, only who asks over loopback."""
        if server.token:
            sent = request.headers.get("authorization", "").encode()
            if hmac.compare_digest(sent, f"Bearer {server.token}".encode()):
                return
            detail = (
                "The request needs the header `Authorization: Bearer TOKEN`, with the right one."
            )
        elif request.client is not None and _is_loopback(request.client.host):
            return
        else:
            detail = f"Without a token in {TOKEN_VARIABLE} only loopback is answered."
        raise Refusal(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})

    return guard


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _asked(request: Request) -> str:
    """Return the version that a request names; proxies write the header with hyphens."""
    for name, value in request.headers.items():
        if name.replace("-", "_") == VERSION_HEADER:
            return value
    return ""


async def _body(request: Request, limit: int) -> bytes:
    """Read a body; one that is too large is read on and forgotten, so that its sender is told."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > _DRAINED * limit:
            break
        else:
            chunks.clear()
    if size > limit:
        raise Refusal(
            413, "body_too_large", f"The body is larger than {limit:,} bytes; send fewer rows."
        )
    return b"".join(chunks)


def request_id_of(request: Request) -> str:
    """Return the id that Serve gave the request, or that it came with."""
    return request.headers.get("x-request-id", "")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    body = error.body(request_id_of(request))
    return Response(body, error.status, headers=error.headers, media_type=MEDIA_TYPE)


async def _refused_by_framework(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 422)
    detail = str(getattr(error, "detail", "")) or "The request cannot be read."
    headers = dict(getattr(error, "headers", None) or {})
    code = {404: "no_such_path", 405: "no_such_method"}.get(status, "bad_request")
    return await _refused(request, Refusal(status, code, detail, headers=headers))


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    detail = f"The request failed with {type(error).__name__}; the log has the rest."
    return await _refused(request, Refusal(500, "failed", detail))


def _problem_response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _document(app: FastAPI, server: Server) -> dict[str, Any]:
    document = get_openapi(
        title=server.model, version=str(server.default.number), routes=app.routes
    )
    body, answer, components = server.default.api.schemas()
    text = {"type": "string"}
    document["paths"]["/serve"]["post"] |= {
        "operationId": "serve",
        "parameters": [
            {
                "name": VERSION_HEADER,
                "in": "header",
                "required": False,
                "description": "Number or alias of a version; none: the default one.",
                "schema": text,
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {
                "description": "Rows of the model's output.",
                "headers": {
                    name: {"required": True, "schema": text}
                    for name in ("X-Request-ID", "X-Model-Version", "X-Model-Digest")
                },
                "content": {"application/json": {"schema": answer}},
            },
            **{str(status): _problem_response(words) for status, words in _REFUSALS.items()},
        },
    }
    document.setdefault("components", {}).setdefault("schemas", {}).update(components)
    if server.token:
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            if not path.startswith("/health/"):
                for operation in operations.values():
                    operation["security"] = [{"bearer": []}]
    return document
