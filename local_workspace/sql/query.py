"""Running one SELECT in the Databricks dialect over Delta tables, with the caller's grants.

sqlglot translates to DuckDB; every table is replaced by its Delta table, so DuckDB itself sees
nothing else: no files, no network, no variables of this process.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import sqlglot
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..catalog import access, securables
from ..core.errors import ApiError
from ..core.workspace import Principal, Workspace
from ..serving.system_tables import SERVED_ENTITIES, served_entities

INLINE_LIMIT = 26_214_400
"""Bytes of a result that is returned inline."""

_FETCH = 200
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "memory_limit": "1GB",
    "threads": "2",
}
_PARAMETER_TYPES = ("STRING", "BOOLEAN", "INT", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")
_TYPES = {
    "BOOLEAN": ("BOOLEAN", "BOOLEAN"),
    "TINYINT": ("BYTE", "TINYINT"),
    "SMALLINT": ("SHORT", "SMALLINT"),
    "INTEGER": ("INT", "INT"),
    "BIGINT": ("LONG", "BIGINT"),
    # Sums and counts, which are BIGINT in Databricks.
    "HUGEINT": ("LONG", "BIGINT"),
    "FLOAT": ("FLOAT", "FLOAT"),
    "DOUBLE": ("DOUBLE", "DOUBLE"),
    "VARCHAR": ("STRING", "STRING"),
    "JSON": ("STRING", "STRING"),
    "UUID": ("STRING", "STRING"),
    "BLOB": ("BINARY", "BINARY"),
    "DATE": ("DATE", "DATE"),
    "TIMESTAMP": ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMP", "TIMESTAMP"),
    "INTERVAL": ("INTERVAL", "INTERVAL"),
    '"NULL"': ("NULL", "VOID"),
}
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")
_NOT_TRANSLATED = ("FROM_JSON", "SCHEMA_OF_JSON", "AI_QUERY", "READ_FILES")


class SqlError(Exception):
    """A statement that cannot be run; the message begins with the error class in brackets."""


@dataclass(frozen=True)
class Query:
    """A checked and translated statement.

    Parameters
    ----------
    text
        DuckDB's SQL.
    tables
        Full names of the tables that it reads, each under its own name as one identifier.
    """

    text: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """Columns as the API describes them; rows with every value as text or ``None``."""

    columns: list[dict[str, Any]]
    rows: list[list[str | None]]
    truncated: bool
    size: int
    """Characters of all values."""


def prepare(
    workspace: Workspace,
    principal: Principal,
    statement: str,
    namespace: tuple[str | None, str | None],
    parameters: list[Mapping[str, Any]],
) -> Query:
    """Parse, authorise and translate a statement.

    Parameters
    ----------
    namespace
        Default catalog and schema.
    parameters
        ``[{"name", "value", "type"}]`` for the markers ``:name``.

    Raises
    ------
    SqlError
        Syntax, unknown tables, missing privileges, anything that is no SELECT.
    """
    tree = _parse(statement)
    _bind(tree, parameters)
    tables = _resolve(tree, namespace)
    for table in tables:
        _authorise(workspace, principal, table)
    now = datetime.fromtimestamp(workspace.now_ms() / 1000, UTC)
    return Query(tree.transform(_adapt, now).sql(dialect="duckdb"), tables)


def sources(workspace: Workspace, principal: Principal, query: Query) -> dict[str, object]:
    """Return the content of each table of a query: a Delta table's folder, or its rows."""
    return {
        table: served_entities(workspace, principal)
        if table == SERVED_ENTITIES
        else str(workspace.tables / table)
        for table in query.tables
    }


def connect(query: Query, sources: Mapping[str, object]) -> duckdb.DuckDBPyConnection:
    """Return a database of its own for one statement, with the tables that it reads."""
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    connection.execute("SET TimeZone='UTC'")
    for table, source in sources.items():
        connection.register(table, _dataset(table, source))
    connection.execute("SET lock_configuration=true")
    return connection


def run(connection: duckdb.DuckDBPyConnection, query: Query, row_limit: int | None) -> Result:
    """Run a prepared query.

    Parameters
    ----------
    row_limit
        Rows to return at most.

    Raises
    ------
    SqlError
        DuckDB refused it, or the result is larger than :data:`INLINE_LIMIT`.
    """
    try:
        cursor = connection.execute(query.text)
        kinds = [str(column[1]) for column in cursor.description or []]
        names = [str(column[0]) for column in cursor.description or []]
        rows: list[list[str | None]] = []
        size = 0
        while (row_limit is None or len(rows) <= row_limit) and (part := cursor.fetchmany(_FETCH)):
            for row in part:
                rows.append([_text(value) for value in row])
                size += sum(len(value) for value in rows[-1] if value is not None)
            if size > INLINE_LIMIT:
                raise SqlError(
                    "Inline byte limit exceeded. Statements executed with disposition=INLINE can "
                    f"have a result size of at most {INLINE_LIMIT} bytes. Read fewer rows or "
                    "columns."
                )
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise SqlError(f"[{type(error).__name__}] {error}") from error
    columns = [
        {"name": n, "position": i, "type_name": _type_name(kind), "type_text": _type_text(kind)}
        for i, (n, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    truncated = row_limit is not None and len(rows) > row_limit
    return Result(columns, rows[:row_limit], truncated, size)


def _dataset(table: str, source: object) -> object:
    if not isinstance(source, str):
        return source
    try:
        return DeltaTable(source).to_pyarrow_dataset()
    except TableNotFoundError as error:
        raise SqlError(
            f"[TABLE_OR_VIEW_NOT_FOUND] Table '{table}' has no data any more."
        ) from error


def _parse(statement: str) -> exp.Query:
    try:
        trees = [tree for tree in sqlglot.parse(statement, read="databricks") if tree is not None]
    except SqlglotError as error:
        text = _COLOURS.sub("", str(error))
        raise SqlError(f"[PARSE_SYNTAX_ERROR] {text}") from error
    if len(trees) != 1:
        raise SqlError(f"[PARSE_SYNTAX_ERROR] One statement is expected, not {len(trees)}.")
    (tree,) = trees
    if not isinstance(tree, exp.Query):
        raise SqlError(
            f"[UNSUPPORTED_FEATURE] {tree.key.upper()}: the local workspace runs SELECT only."
        )
    for function in tree.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if name.upper() in _NOT_TRANSLATED:
            raise SqlError(
                f"[UNSUPPORTED_FEATURE] {name} is not available in the local workspace. "
                "Use get_json_object for JSON."
            )
    return tree


def _bind(tree: exp.Expr, parameters: list[Mapping[str, Any]]) -> None:
    known = {str(parameter.get("name")): parameter for parameter in parameters}
    for marker in list(tree.find_all(exp.Placeholder)):
        name = marker.name
        if name not in known:
            raise SqlError(f"[UNBOUND_SQL_PARAMETER] Parameter :{name} has no value.")
        marker.replace(_literal(known[name]))


def _literal(parameter: Mapping[str, Any]) -> exp.Expr:
    value, kind = parameter.get("value"), str(parameter.get("type") or "STRING").upper()
    if kind not in _PARAMETER_TYPES:
        raise SqlError(
            f"[INVALID_PARAMETER] Type {kind} of :{parameter['name']} is not one of "
            f"{', '.join(_PARAMETER_TYPES)}."
        )
    if value is None:
        return exp.Null()
    literal = exp.Literal.string(str(value))
    # Through the Databricks dialect, where TIMESTAMP has a time zone.
    return literal if kind == "STRING" else exp.cast(literal, kind, dialect="databricks")


def _resolve(tree: exp.Expr, namespace: tuple[str | None, str | None]) -> tuple[str, ...]:
    """Give every table its full name, as one identifier; the names found."""
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found: dict[str, None] = {}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise SqlError("[UNSUPPORTED_FEATURE] Table functions are not available in FROM.")
        if not table.db and table.name.lower() in local:
            continue
        catalog, schema = table.catalog or namespace[0], table.db or namespace[1]
        if not (catalog and schema):
            raise SqlError(
                f"[TABLE_OR_VIEW_NOT_FOUND] The table or view `{table.name}` cannot be found: name "
                "it catalog.schema.table, or give catalog and schema with the statement."
            )
        full_name, short = securables.key(f"{catalog}.{schema}.{table.name}"), table.name
        found[full_name] = None
        table.set("this", exp.to_identifier(full_name, quoted=True))
        table.set("db", None)
        table.set("catalog", None)
        if not table.args.get("alias"):
            table.set("alias", exp.TableAlias(this=exp.to_identifier(short)))
    for column in tree.find_all(exp.Column):
        column.set("db", None)
        column.set("catalog", None)
    return tuple(found)


def _authorise(workspace: Workspace, principal: Principal, table: str) -> None:
    if table == SERVED_ENTITIES:
        return  # it shows everyone the endpoints that he may view
    try:
        access.require(workspace, principal, "tables", table, "SELECT")
    except ApiError as error:
        kind = "TABLE_OR_VIEW_NOT_FOUND" if error.status == 404 else "INSUFFICIENT_PERMISSIONS"
        raise SqlError(f"[{kind}] {error.message}") from error


def _adapt(node: exp.Expr, now: datetime) -> exp.Expr:
    """Replace words by which DuckDB means something else."""
    if isinstance(node, (exp.CurrentTimestamp, exp.CurrentDate)):
        kind = "DATE" if isinstance(node, exp.CurrentDate) else "TIMESTAMPTZ"
        return exp.cast(exp.Literal.string(now.isoformat()), kind)
    if isinstance(node, exp.CountIf):  # NULL without rows there, 0 here
        return exp.Coalesce(this=node.copy(), expressions=[exp.Literal.number(0)])
    if isinstance(node, (exp.JSONExtract, exp.JSONExtractScalar)):
        # Text that is no JSON is an error there, NULL here; and `col:path` gives text here.
        scalar = exp.JSONExtractScalar(**{k: v for k, v in node.args.items() if v is not None})
        return exp.Anonymous(this="TRY", expressions=[scalar])
    return node


def _text(value: Any) -> str | None:
    """Return a value as the JSON_ARRAY format writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return f"{text}Z" if value.tzinfo else text
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=_text)
    return value.isoformat() if isinstance(value, date) else str(value)


def _type_name(kind: str) -> str:
    """``type_name`` of the API: LONG, STRING, ARRAY, ..."""
    if kind.endswith("[]"):
        return "ARRAY"
    for nested in ("STRUCT", "MAP", "DECIMAL"):
        if kind.startswith(nested):
            return nested
    return _TYPES.get(kind, ("STRING", ""))[0]


def _type_text(kind: str) -> str:
    """``type_text`` of the API: BIGINT, ARRAY<STRING>, DECIMAL(10,2), ..."""
    if kind.endswith("[]"):
        return f"ARRAY<{_type_text(kind[:-2])}>"
    if _DECIMAL.fullmatch(kind):
        return kind
    return _TYPES.get(kind, ("", kind))[1]
