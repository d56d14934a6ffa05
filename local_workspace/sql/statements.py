"""SQL statements: ``/api/2.0/sql/statements``.

Results come inline as JSON arrays of text; a statement that fails is an answer with
state FAILED, not an HTTP error.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from ..core.errors import invalid, not_found
from ..core.routing import Call, Routes
from ..core.workspace import Principal, Workspace
from ..serving import inference
from . import commands, warehouses, worker
from . import query as sql_query
from .errors import SqlError
from .execution import INLINE_LIMIT, Result
from .query import Query

routes = Routes()

_log = logging.getLogger(__name__)

_STATEMENTS = "/api/2.0/sql/statements"
_ONE = f"{_STATEMENTS}/{{id}}"
_KEPT = 500
_KEPT_SIZE = 10 * INLINE_LIMIT
_AT_A_TIME = 2


@dataclass
class _Statement:
    """One statement of this process; results are not kept over a restart."""

    owner: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "PENDING"
    error: str = ""
    result: Result | None = None
    task: asyncio.Task[None] | None = None


async def startup(workspace: Workspace) -> None:
    workspace.runtime["sql"] = {}
    workspace.runtime["sql_places"] = asyncio.Semaphore(_AT_A_TIME)


async def shutdown(workspace: Workspace) -> None:
    for statement in _all(workspace).values():
        await _cancel(statement)


@routes.add("POST", _STATEMENTS)
async def execute(call: Call) -> dict[str, Any]:
    body = call.body
    warehouses.use(call.workspace, call.principal, call.need("warehouse_id"))
    text, wait_s = str(call.need("statement")), _wait_s(body.get("wait_timeout", "10s"))
    asked = body.get("disposition", "INLINE"), body.get("format", "JSON_ARRAY")
    if asked != ("INLINE", "JSON_ARRAY"):
        raise invalid("The local workspace has disposition INLINE and format JSON_ARRAY only.")
    limit = body.get("row_limit")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise invalid(f"row_limit {limit!r} is no positive whole number.")
    statement, known = _Statement(call.principal.name), _all(call.workspace)
    known[statement.id] = statement
    for old in list(known)[:-_KEPT]:
        await _cancel(known.pop(old))
    statement.task = asyncio.create_task(_run(call, statement, text, limit))
    await asyncio.wait({statement.task}, timeout=wait_s)
    if not statement.task.done() and wait_s and body.get("on_wait_timeout") == "CANCEL":
        await _cancel(statement)
    return _answer(statement)


@routes.add("GET", _ONE)
async def get(call: Call) -> dict[str, Any]:
    return _answer(_find(call))


@routes.add("GET", f"{_ONE}/result/chunks/{{index}}")
async def chunk(call: Call) -> dict[str, Any]:
    statement = _find(call)
    if statement.result is None or call.path["index"] != "0":
        raise not_found(
            f"Statement {statement.id} ({statement.state}) has no chunk {call.path['index']}."
        )
    return _chunk(statement.result)


@routes.add("POST", f"{_ONE}/cancel")
async def cancel(call: Call) -> dict[str, Any]:
    await _cancel(_find(call))
    return {}


async def select(workspace: Workspace, principal: Principal, text: str) -> Result:
    """Run a query with a principal's grants, for the service's own use.

    Raises
    ------
    SqlError
        It cannot be run; see :func:`.query.prepare`.
    """
    await inference.of(workspace).flush()
    query = sql_query.prepare(workspace, principal, text, (None, None), [])
    return await _result(workspace, principal, query, None)


async def _result(
    workspace: Workspace, principal: Principal, query: Query, row_limit: int | None
) -> Result:
    """Run a query as soon as one of the few places for it is free."""
    places: asyncio.Semaphore = workspace.runtime["sql_places"]
    async with places:
        return await worker.run(workspace, principal, query, row_limit)


async def _run(call: Call, statement: _Statement, text: str, row_limit: int | None) -> None:
    """Run a statement to its end, whatever that is."""
    statement.state = "RUNNING"
    await inference.of(call.workspace).flush()
    namespace = call.body.get("catalog"), call.body.get("schema")
    parameters = call.body.get("parameters") or []
    try:
        tree = sql_query.parse(text)
        who = commands.Call(call.workspace, call.principal, namespace, parameters)
        if isinstance(tree, exp.Query):
            query = sql_query.prepared(who.workspace, who.principal, tree, namespace, parameters)
            statement.result = await _result(call.workspace, call.principal, query, row_limit)
        else:
            statement.result = await commands.run(tree, who)
        outcome = "SUCCEEDED", ""
        _close_old(call.workspace)
    except SqlError as error:
        outcome = "FAILED", str(error)
    except RecursionError:
        outcome = "FAILED", "[PARSE_SYNTAX_ERROR] The statement is nested too deeply to be read."
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not look like a long query
        _log.exception("statement %s", statement.id)
        outcome = "FAILED", f"[INTERNAL_ERROR] {error}"
    if statement.state == "RUNNING":
        statement.state, statement.error = outcome


def _close_old(workspace: Workspace) -> None:
    """Give up the oldest results when all together are too large to keep."""
    size = 0
    for statement in reversed(_all(workspace).values()):
        if statement.result is not None:
            size += statement.result.size
            if size > _KEPT_SIZE:
                statement.result, statement.state = None, "CLOSED"


async def _cancel(statement: _Statement) -> None:
    """Stop a statement that is under way; harmless when it has ended."""
    if statement.state in ("PENDING", "RUNNING"):
        statement.state = "CANCELED"
        assert statement.task is not None
        statement.task.cancel()
        await asyncio.wait({statement.task})


def _find(call: Call) -> _Statement:
    """Return a statement of the caller's own, or any for an admin."""
    statement = _all(call.workspace).get(call.path["id"])
    own = statement is not None and call.principal.name == statement.owner
    if statement is None or not (own or call.principal.is_admin):
        raise not_found(f"The statement {call.path['id']} was not found.")
    return statement


def _all(workspace: Workspace) -> dict[str, _Statement]:
    statements: dict[str, _Statement] = workspace.runtime["sql"]
    return statements


def _wait_s(text: object) -> float:
    match = re.fullmatch(r"(\d{1,2})s", str(text))
    if match is None or not (int(match[1]) == 0 or 5 <= int(match[1]) <= 50):
        raise invalid(f"wait_timeout {text!r} must be '0s' or between '5s' and '50s'.")
    return int(match[1])


def _answer(statement: _Statement) -> dict[str, Any]:
    status: dict[str, Any] = {"state": statement.state}
    if statement.state == "FAILED":
        status["error"] = {"error_code": "BAD_REQUEST", "message": statement.error}
    answer: dict[str, Any] = {"statement_id": statement.id, "status": status}
    if statement.state == "SUCCEEDED" and statement.result is not None:
        answer |= {"manifest": _manifest(statement.result), "result": _chunk(statement.result)}
    return answer


def _manifest(result: Result) -> dict[str, Any]:
    count = len(result.rows)
    return {
        "format": "JSON_ARRAY",
        "schema": {"column_count": len(result.columns), "columns": result.columns},
        "total_row_count": count,
        "total_chunk_count": 1 if count else 0,
        "chunks": [{"chunk_index": 0, "row_offset": 0, "row_count": count}] if count else [],
        "truncated": result.truncated,
    }


def _chunk(result: Result) -> dict[str, Any]:
    if not result.rows:
        return {}
    rows = result.rows
    return {"chunk_index": 0, "row_offset": 0, "row_count": len(rows), "data_array": rows}
