"""Statements that change something: ``CREATE TABLE``, ``CREATE VIEW``, ``INSERT``, ``DELETE``.

They work on real Delta tables. Each answers one row of counts, as a warehouse does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlglot import exp

from ..catalog import access, securables
from ..core.errors import ApiError
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from . import ai_query, query, worker
from .errors import SqlError
from .execution import Into, Result, counts

pa: Any = pyarrow  # its annotations cover too little to check against

_DELTA_TYPES: dict[exp.DType, Any] = {
    exp.DType.BOOLEAN: pa.bool_(),
    exp.DType.SMALLINT: pa.int16(),
    exp.DType.INT: pa.int32(),
    exp.DType.BIGINT: pa.int64(),
    exp.DType.FLOAT: pa.float32(),
    exp.DType.DOUBLE: pa.float64(),
    exp.DType.TEXT: pa.string(),
    exp.DType.BINARY: pa.binary(),
    exp.DType.DATE: pa.date32(),
    # The Databricks dialect's TIMESTAMP, which has a time zone.
    exp.DType.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    exp.DType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Call:
    """Who runs a statement, and the defaults of names and markers."""

    workspace: Workspace
    principal: Principal
    namespace: tuple[str | None, str | None]
    parameters: list[Mapping[str, Any]]


async def run(tree: exp.Expr, call: Call) -> Result:
    """Run a statement that is no query.

    Raises
    ------
    SqlError
        What it would change does not exist, may not be changed by the caller, or is not known here.
    """
    for kind, command in _COMMANDS.items():
        if isinstance(tree, kind):
            query.bind(tree, call.parameters)
            return await command(tree, call)
    raise SqlError(
        f"[UNSUPPORTED_FEATURE] {tree.key.upper()}: the local workspace runs SELECT, "
        "CREATE TABLE, CREATE VIEW, INSERT INTO and DELETE FROM."
    )


async def _create(tree: exp.Create, call: Call) -> Result:
    kind, listed = str(tree.args.get("kind")).upper(), isinstance(tree.this, exp.Schema)
    if kind not in ("TABLE", "VIEW") or (kind == "TABLE") != (listed and not tree.expression):
        raise SqlError(
            "[UNSUPPORTED_FEATURE] The local workspace runs CREATE TABLE name (columns) and "
            f"CREATE VIEW name AS SELECT; this is another CREATE {kind}."
        )
    name = query.full_name(tree.this.this if listed else tree.this, call.namespace)
    known = call.workspace.store.get("tables", name)
    _require(call, "schemas", name.rpartition(".")[0], "CREATE_TABLE")
    if kind == "VIEW":
        await _create_view(tree, name, known, call)
    else:
        _create_table(tree, tree.this, name, known, call)
    return Result([], [], False, 0)


def _create_table(
    tree: exp.Create, schema: exp.Schema, name: str, known: Document | None, call: Call
) -> None:
    if known is not None:
        if tree.args.get("exists"):
            return
        raise SqlError(f"[TABLE_OR_VIEW_ALREADY_EXISTS] Table '{name}' already exists.")
    given = [column for column in schema.expressions if isinstance(column, exp.ColumnDef)]
    columns = [(column.name, query.type_of(column)) for column in given]
    path = call.workspace.tables / name
    fields = pa.schema([(column, _delta_type(kind)) for column, kind in columns])
    DeltaTable.create(str(path), fields, mode="ignore")
    _register(
        call, name, [(column, kind.sql(dialect="databricks")) for column, kind in columns], path
    )


async def _create_view(tree: exp.Create, name: str, known: Document | None, call: Call) -> None:
    if known is not None:
        if tree.args.get("exists"):
            return
        if known["table_type"] != "VIEW" or not tree.args.get("replace"):
            raise SqlError(f"[TABLE_OR_VIEW_ALREADY_EXISTS] '{name}' already exists.")
        _require(call, "tables", name, access.OWN)
    definition = tree.expression
    if any(ai_query.asks(definition)):
        raise SqlError("[UNSUPPORTED_FEATURE] The local workspace has no ai_query in a view.")
    if name in query.names(definition, call.namespace):
        raise SqlError(f"[RECURSIVE_VIEW] View '{name}' reads itself.")
    text = query.completed(definition, call.namespace).sql(dialect="databricks")
    asked = query.prepare(call.workspace, call.principal, text, (None, None), [])
    found = await worker.run(call.workspace, call.principal, asked, 1)
    columns = [(column["name"], column["type_text"]) for column in found.columns]
    if known is not None:
        call.workspace.store.delete("tables", name)
    _register(call, name, columns, None, view_definition=text)


def _register(
    call: Call, name: str, columns: list[tuple[str, str]], path: Any, **more: str
) -> None:
    document = securables.register_table(
        call.workspace,
        name,
        owner=call.principal.name,
        columns=[
            {
                "name": each,
                "type_text": text.lower(),
                "type_name": text.split("<")[0],
                "position": i,
            }
            for i, (each, text) in enumerate(columns)
        ],
        storage_location=path.as_uri() if path else "",
    )
    if more:
        view = {"table_type": "VIEW", **more}
        for field in ("data_source_format", "storage_location"):
            document.pop(field)
        call.workspace.store.put("tables", name, document | view)


async def _insert(tree: exp.Insert, call: Call) -> Result:
    if tree.args.get("overwrite"):
        raise SqlError("[UNSUPPORTED_FEATURE] The local workspace has no INSERT OVERWRITE.")
    listed = isinstance(tree.this, exp.Schema)
    name, folder = _table(tree.this.this if listed else tree.this, call)
    columns = tuple(each.name for each in tree.this.expressions) if listed else ()
    asked = query.prepared(
        call.workspace, call.principal, tree.expression, call.namespace, call.parameters
    )
    into = Into(name, folder, columns)
    return await worker.run(call.workspace, call.principal, asked, None, into)


async def _delete(tree: exp.Delete, call: Call) -> Result:
    name, folder = _table(tree.this, call)
    where = tree.args.get("where")
    if where is not None and where.find(exp.Query):
        raise SqlError("[UNSUPPORTED_FEATURE] DELETE with a subquery: name the values instead.")
    predicate = query.predicate(call.workspace, where.this) if where is not None else None
    try:
        done = await asyncio.to_thread(DeltaTable(folder).delete, predicate)
    except DeltaError as error:
        raise SqlError(f"[DELETE_FAILED] {name}: {error}") from error
    return counts(deleted=int(done.get("num_deleted_rows") or 0))


def _table(target: exp.Expr, call: Call) -> tuple[str, str]:
    """Return name and folder of the Delta table that a caller may change."""
    name = query.full_name(target, call.namespace)
    _require(call, "tables", name, "MODIFY")
    if securables.get(call.workspace, "tables", name)["table_type"] == "VIEW":
        raise SqlError(f"[EXPECT_TABLE_NOT_VIEW] '{name}' is a view: it cannot be changed.")
    return name, str(call.workspace.tables / name)


def _delta_type(kind: exp.DataType) -> Any:
    if kind.this is exp.DType.ARRAY and kind.expressions:
        return pa.list_(_delta_type(kind.expressions[0]))
    try:
        return _DELTA_TYPES[kind.this]
    except KeyError:
        raise SqlError(
            f"[UNSUPPORTED_DATATYPE] {kind.sql(dialect='databricks')} is not known here."
        ) from None


def _require(call: Call, kind: str, name: str, privilege: str) -> None:
    try:
        access.require(call.workspace, call.principal, kind, name, privilege)
    except ApiError as error:
        raise query.refused(error) from error


_COMMANDS: dict[type[exp.Expr], Callable[[Any, Call], Awaitable[Result]]] = {
    exp.Create: _create,
    exp.Insert: _insert,
    exp.Delete: _delete,
}
