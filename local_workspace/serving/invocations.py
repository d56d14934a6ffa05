"""Queries of serving endpoints: authorised, limited, split by traffic, passed through, logged."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from ..core.errors import ApiError, conflict, invalid, not_found, unauthenticated
from ..core.routing import Call, Routes
from ..core.store import Document
from ..core.workspace import WORKSPACE_ID, Principal, Workspace
from ..identity import principals, signing
from ..objects import documents
from ..objects.documents import ENDPOINT
from . import deployment, endpoints, inference
from .metrics import Metrics
from .scoring import EXECUTION_LIMIT_S, Scorer

routes = Routes()

REQUEST_LIMIT = 16_777_216
"""Bytes of a request."""

_MINUTE_MS = 60_000
_NOTICED_AFTER_S = (0.5, 1.0)
_PASSED_ON = ("content-type", "accept")


class Queries:
    """The memory of queries: the client, the turns, the calls of the last minute."""

    def __init__(self) -> None:
        # Scoring servers close connections when they please: each query has one of its own.
        self.client = httpx.AsyncClient(
            timeout=httpx.Timeout(EXECUTION_LIMIT_S + 10, connect=10),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )
        self.metrics = Metrics()
        self._turns: dict[str, dict[str, int]] = {}
        self._calls: dict[tuple[str, str], deque[int]] = {}

    def next_entity(self, endpoint_id: str, config: Document) -> str:
        """Whose turn it is: smooth weighted round robin, so any 100 queries are split exactly."""
        routes = config["traffic_config"]["routes"]
        shares = {route["served_entity_name"]: route["traffic_percentage"] for route in routes}
        key = f"{endpoint_id}/{config['config_version']}"
        credit = self._turns.setdefault(key, dict.fromkeys(shares, 0))
        for name, share in shares.items():
            credit[name] += share
        chosen = max(credit, key=lambda name: credit[name])
        credit[chosen] -= sum(shares.values())
        return chosen

    def admit(self, endpoint: Document, principal: Principal, now_ms: int) -> None:
        """Count a call against the endpoint's rate limits.

        Raises
        ------
        ApiError
            429 when a limit is used up.
        """
        limits = endpoint.get("ai_gateway", {}).get("rate_limits") or []
        counted = []
        for limit in limits:
            who = _counted_as(limit, principal)
            if who is None:
                continue
            calls = self._calls.setdefault((endpoint["id"], who), deque())
            while calls and calls[0] <= now_ms - _MINUTE_MS:
                calls.popleft()
            if len(calls) >= limit["calls"]:
                raise ApiError(
                    429,
                    "REQUEST_LIMIT_EXCEEDED",
                    f"Rate limit of endpoint '{endpoint['name']}' exceeded: "
                    f"{limit['calls']} calls per minute for {who}. Wait and retry.",
                )
            counted.append(calls)
        for calls in {id(calls): calls for calls in counted}.values():
            calls.append(now_ms)


def _counted_as(limit: Document, principal: Principal) -> str | None:
    """Return the counter of a limit for a caller, or None when the limit is for others."""
    key, named = limit.get("key", "endpoint"), limit.get("principal")
    if key == "endpoint":
        return "the endpoint"
    if key == "user_group":
        return f"group {named}" if named in principal.groups else None
    if named and named != principal.name:
        return None
    return f"principal {principal.name}"


async def startup(workspace: Workspace) -> None:
    workspace.runtime["queries"] = Queries()


async def shutdown(workspace: Workspace) -> None:
    await of(workspace).client.aclose()


def of(workspace: Workspace) -> Queries:
    """Return the running instance's queries."""
    queries: Queries = workspace.runtime["queries"]
    return queries


@routes.add(
    "POST",
    "/serving-endpoints/{name}/invocations",
    "/serving-endpoints/{name}/served-models/{served}/invocations",
    stream=True,
)
async def invoke(call: Call) -> Response:
    """Answer one query. The other path goes to one served entity, whatever the traffic is."""
    body = await _read(call.request)
    workspace, headers = call.workspace, call.request.headers
    endpoint = _of_the_workspace(workspace, call.principal, call.path["name"])
    return await _query(workspace, call.principal, endpoint, headers, body, call.path.get("served"))


async def ask(workspace: Workspace, principal: Principal, name: str, body: bytes) -> Response:
    """Answer one query in JSON that a part of the workspace sends for a principal.

    Raises
    ------
    ApiError
        As for everybody who asks.
    """
    if len(body) > REQUEST_LIMIT:
        raise _too_large(len(body))
    endpoint = _of_the_workspace(workspace, principal, name)
    return await _query(workspace, principal, endpoint, {"content-type": "application/json"}, body)


def _of_the_workspace(workspace: Workspace, principal: Principal, name: str) -> Document:
    """Return an endpoint that is queried through the workspace."""
    endpoint = _endpoint(workspace, principal, name)
    if endpoint.get("route_optimized"):
        # That it is refused is documented; with which status is not.
        raise invalid(
            f"Endpoint '{endpoint['name']}' is route-optimized: it is queried through its own URL "
            "(endpoint_url of GET /api/2.0/serving-endpoints/NAME) only, with an OAuth token."
        )
    return endpoint


@routes.add(
    "POST",
    f"/{WORKSPACE_ID}/serving-endpoints/{{name}}/invocations",
    public=True,
    stream=True,
)
async def invoke_optimized(call: Call) -> Response:
    """Answer one query of a route-optimised endpoint, which knows OAuth tokens only."""
    body = await _read(call.request)
    token = principals.bearer(call.request.headers.get("authorization"))
    issued = signing.read_token(call.workspace, token)
    if issued is None:
        raise unauthenticated(
            "Invalid OAuth token. Personal access tokens are not supported by route-optimized "
            "endpoints."
        )
    caller = principals.find(call.workspace, issued.name)
    assert caller is not None  # principals are never deleted
    endpoint = _endpoint(call.workspace, caller, call.path["name"])
    wanted = json.loads(endpoints.query_permission(endpoint))
    if not endpoint.get("route_optimized"):
        raise not_found(f"Endpoint '{endpoint['name']}' is not route-optimized.")
    if not issued.details or json.loads(issued.details) != wanted:
        raise unauthenticated(
            "Missing authorization details: the token must be one for this endpoint."
        )
    return await _query(call.workspace, caller, endpoint, call.request.headers, body)


async def _query(
    workspace: Workspace,
    principal: Principal,
    endpoint: Document,
    headers: Mapping[str, str],
    body: bytes,
    served: str | None = None,
) -> Response:
    queries, received_ms = of(workspace), workspace.now_ms()
    if not headers.get("content-type"):
        message = "The request has no Content-Type: send application/json, or text/csv."
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", message)
    entity = _entity(queries, endpoint, served)
    queries.admit(endpoint, principal, received_ms)
    scorer = deployment.of(workspace).fleet.get(entity["id"])
    assert scorer is not None  # every entity of a config that serves has one
    with scorer.in_use():
        answer, spent_ms = await _answer(queries.client, scorer, endpoint, headers, body)
    queries.metrics.observe(endpoint["name"], scorer.name, answer.status_code, spent_ms)
    request_id = str(uuid.uuid4())
    table = inference.table_of(endpoint)
    if table is not None:
        row: dict[str, Any] = {
            "databricks_request_id": request_id,
            "request_time_ms": received_ms,
            "status_code": answer.status_code,
            "execution_duration_ms": round(spent_ms),
            "served_entity_id": entity["id"],
            # Not known where the question did not come through the workspace.
            "requester": None if endpoint.get("route_optimized") else principal.name,
        }
        inference.of(workspace).record(table, row, body, answer.content)
    return Response(
        answer.content,
        answer.status_code,
        {
            "content-type": answer.headers.get("content-type", "application/json"),
            "served-model-name": scorer.name,
            "x-request-id": request_id,
        },
    )


async def _read(request: Request) -> bytes:
    """Return the body; read to its end even when it is too long, so that the client hears why."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= REQUEST_LIMIT:
            parts.append(part)
    if size > REQUEST_LIMIT:
        raise _too_large(size)
    return b"".join(parts)


def _too_large(size: int) -> ApiError:
    message = f"Request size cannot exceed {REQUEST_LIMIT} bytes (it has {size})."
    return ApiError(400, "BAD_REQUEST", message)


def _endpoint(workspace: Workspace, principal: Principal, name: str) -> Document:
    """Return the endpoint, when the caller may query it and it has ever become ready."""
    endpoint = documents.require(workspace, principal, ENDPOINT, name, "CAN_QUERY")
    if endpoint["config"] is None:
        raise conflict(
            f"Endpoint '{endpoint['name']}' is not ready (config_update {endpoint['update']}): "
            "its first deployment has not succeeded. Wait until its state is READY."
        )
    return endpoint


def _entity(queries: Queries, endpoint: Document, served: str | None) -> Document:
    config = endpoint["config"]
    name = served or queries.next_entity(endpoint["id"], config)
    for entity in config["entities"]:
        if entity["spec"]["name"] == name:
            found: Document = entity
            return found
    raise not_found(f"Endpoint '{endpoint['name']}' has no served entity '{name}'.")


async def _answer(
    client: httpx.AsyncClient,
    scorer: Scorer,
    endpoint: Document,
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[httpx.Response, float]:
    """Return the model's answer and its time in milliseconds.

    A process that died a moment ago refuses connections until its watcher has noticed, and one that
    lives may hang up without an answer. Queries change nothing, so both are asked again.
    """
    pauses = iter(_NOTICED_AFTER_S)
    while True:
        await _wait(scorer, endpoint)
        started = time.perf_counter()
        try:
            answer = await _ask(client, scorer, headers, body)
        except httpx.TransportError as error:
            if (pause_s := next(pauses, None)) is None:
                message = f"The scoring process of {scorer.name} does not answer."
                raise ApiError(503, "TEMPORARILY_UNAVAILABLE", message) from error
            await asyncio.sleep(pause_s)
        else:
            return answer, (time.perf_counter() - started) * 1000


async def _wait(scorer: Scorer, endpoint: Document) -> None:
    """Hold the query while its process is being restarted, as for one scaled to zero."""
    if not await scorer.settled(EXECUTION_LIMIT_S):
        reason = scorer.failure or f"{scorer.name} is still starting"
        raise conflict(f"Endpoint '{endpoint['name']}' is not ready: {reason}")


async def _ask(
    client: httpx.AsyncClient, scorer: Scorer, headers: Mapping[str, str], body: bytes
) -> httpx.Response:
    passed_on = {name: headers[name] for name in _PASSED_ON if name in headers}
    try:
        return await client.post(f"{scorer.url}/invocations", content=body, headers=passed_on)
    except httpx.ConnectError:
        raise
    except httpx.TimeoutException as error:
        message = f"The model did not answer within {EXECUTION_LIMIT_S} s."
        raise ApiError(504, "DEADLINE_EXCEEDED", message) from error
    except httpx.TransportError as error:
        if not await scorer.has_ended():
            raise
        message = f"The scoring process of {scorer.name} ended during the request; it is restarted."
        raise ApiError(503, "TEMPORARILY_UNAVAILABLE", message) from error
