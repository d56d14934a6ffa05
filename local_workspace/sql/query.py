"""Running one query in the Databricks dialect over Delta tables, with the caller's grants.

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
import pyarrow
import sqlglot
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..catalog import access, securables
from ..core.errors import ApiError
from ..core.workspace import Principal, Workspace
from ..identity import principals
from ..serving.system_tables import SERVED_ENTITIES, served_entities

pa: Any = pyarrow  # its annotations cover too little to check against

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
class Into:
    """The Delta table that takes the rows of a query.

    Parameters
    ----------
    columns
        Those that are filled, in the order of the query's; none: all of them.
    """

    name: str
    folder: str
    columns: tuple[str, ...]


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
    tree = parse(statement)
    if not isinstance(tree, exp.Query):
        raise SqlError(f"[PARSE_SYNTAX_ERROR] A query is expected, not {tree.key.upper()}.")
    return prepared(workspace, principal, tree, namespace, parameters)


def prepared(
    workspace: Workspace,
    principal: Principal,
    tree: exp.Expr,
    namespace: tuple[str | None, str | None],
    parameters: list[Mapping[str, Any]],
) -> Query:
    """Authorise and translate a parsed query; see :func:`prepare`."""
    bind(tree, parameters)
    tables = _resolve(workspace, principal, tree, namespace)
    now = datetime.fromtimestamp(workspace.now_ms() / 1000, UTC)
    return Query(tree.transform(_adapt, now).sql(dialect="duckdb"), tuple(dict.fromkeys(tables)))


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


def parse(statement: str) -> exp.Expr:
    """Return the tree of one statement.

    Raises
    ------
    SqlError
        It is none, or several, or has a function that is not translated.
    """
    try:
        trees = [tree for tree in sqlglot.parse(statement, read="databricks") if tree is not None]
    except SqlglotError as error:
        text = _COLOURS.sub("", str(error))
        raise SqlError(f"[PARSE_SYNTAX_ERROR] {text}") from error
    if len(trees) != 1:
        raise SqlError(f"[PARSE_SYNTAX_ERROR] One statement is expected, not {len(trees)}.")
    (tree,) = trees
    for function in tree.find_all(exp.Func):
        name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
        if name.upper() in _NOT_TRANSLATED:
            raise SqlError(
                f"[UNSUPPORTED_FEATURE] {name} is not available in the local workspace. "
                "Use get_json_object for JSON."
            )
    return tree


def bind(tree: exp.Expr, parameters: list[Mapping[str, Any]]) -> None:
    """Put the values of the markers ``:name`` into a tree."""
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


def full_name(table: exp.Expr, namespace: tuple[str | None, str | None]) -> str:
    """Return the name of a table with catalog and schema.

    Raises
    ------
    SqlError
        It has none, and the statement gives no default.
    """
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        raise SqlError("[UNSUPPORTED_FEATURE] Table functions are not available in FROM.")
    catalog, schema = table.catalog or namespace[0], table.db or namespace[1]
    if not (catalog and schema):
        raise SqlError(
            f"[TABLE_OR_VIEW_NOT_FOUND] The table or view `{table.name}` cannot be found: name "
            "it catalog.schema.table, or give catalog and schema with the statement."
        )
    return securables.key(f"{catalog}.{schema}.{table.name}")


def names(tree: exp.Expr, namespace: tuple[str | None, str | None]) -> set[str]:
    """Return the full names of the tables that a query names itself."""
    return {full_name(table, namespace) for table in _tables(tree)}


def completed(tree: exp.Expr, namespace: tuple[str | None, str | None]) -> exp.Expr:
    """Return a query whose tables have catalog and schema, as a view keeps it."""
    found = tree.copy()
    for table in _tables(found):
        parts = full_name(table, namespace).split(".", 2)
        for part, name in zip(("catalog", "db", "this"), parts, strict=True):
            table.set(part, exp.to_identifier(name, quoted=True))
    return found


def _tables(tree: exp.Expr) -> list[exp.Table]:
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return [
        table for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in local
    ]


def _resolve(
    workspace: Workspace,
    principal: Principal,
    tree: exp.Expr,
    namespace: tuple[str | None, str | None],
) -> list[str]:
    """Give every table its full name, as one identifier, and every view its query; the names."""
    found: list[str] = []
    for table in _tables(tree):
        name, short = full_name(table, namespace), table.name
        _authorise(workspace, principal, name)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(short))
        document = workspace.store.get("tables", name) or {}
        if document.get("table_type") == "VIEW":
            # A view reads with the rights of its owner.
            owner = principals.find(workspace, document["owner"]) or principal
            inner = parse(document["view_definition"])
            found += _resolve(workspace, owner, inner, (None, None))
            table.replace(exp.Subquery(this=inner, alias=alias))
            continue
        found.append(name)
        table.set("this", exp.to_identifier(name, quoted=True))
        table.set("db", None)
        table.set("catalog", None)
        table.set("alias", alias)
    for column in tree.find_all(exp.Column):
        column.set("db", None)
        column.set("catalog", None)
    return found


def _authorise(workspace: Workspace, principal: Principal, table: str) -> None:
    if table == SERVED_ENTITIES:
        return  # it shows everyone the endpoints that he may view
    try:
        access.require(workspace, principal, "tables", table, "SELECT")
    except ApiError as error:
        raise refused(error) from error


def refused(error: ApiError) -> SqlError:
    """Return what a statement says of something that is not there, or not the caller's."""
    kind = "TABLE_OR_VIEW_NOT_FOUND" if error.status == 404 else "INSUFFICIENT_PERMISSIONS"
    return SqlError(f"[{kind}] {error.message}")


def type_of(column: exp.ColumnDef) -> exp.DataType:
    """Return the type of a column in ``CREATE TABLE``."""
    kind = column.args.get("kind")
    if not isinstance(kind, exp.DataType):
        raise SqlError(f"[PARSE_SYNTAX_ERROR] Column {column.name} has no type.")
    return kind


def predicate(workspace: Workspace, where: exp.Expr) -> str:
    """Return a condition over the columns of one table, in the dialect of Delta's own engine."""
    now = datetime.fromtimestamp(workspace.now_ms() / 1000, UTC)
    for column in where.find_all(exp.Column):
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return where.transform(_adapt, now).transform(_exact).sql(dialect="postgres")


def _exact(node: exp.Expr) -> exp.Expr:
    """Give a moment the type of Delta's timestamps: its engine compares no others with them."""
    if isinstance(node, exp.Cast) and node.to.this is exp.DType.TIMESTAMPTZ:
        kind = exp.Literal.string('Timestamp(Microsecond, Some("UTC"))')
        return exp.Anonymous(this="arrow_cast", expressions=[node.this, kind])
    return node


def insert(connection: duckdb.DuckDBPyConnection, query: Query, into: Into) -> Result:
    """Append the rows of a prepared query to a Delta table; the answer is their number.

    Raises
    ------
    SqlError
        DuckDB refused the query, or its values do not fit the columns.
    """
    fields = DeltaTable(into.folder).to_pyarrow_dataset().schema
    columns = into.columns or tuple(fields.names)
    if unknown := [each for each in columns if each not in fields.names]:
        raise SqlError(f"[UNRESOLVED_COLUMN] '{into.name}' has no column {', '.join(unknown)}.")
    try:
        rows = connection.sql(query.text).to_arrow_table()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise SqlError(f"[{type(error).__name__}] {error}") from error
    if rows.num_columns != len(columns):
        raise SqlError(
            f"[INSERT_COLUMN_ARITY_MISMATCH] {len(columns)} columns of '{into.name}' are to be "
            f"filled with {rows.num_columns} values."
        )
    try:
        filled = [
            rows.column(columns.index(field.name)).cast(field.type)
            if field.name in columns
            else pa.nulls(len(rows), field.type)
            for field in fields
        ]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SqlError(f"[CAST_INVALID_INPUT] {error}") from error
    # Another constructor imports pandas, for seconds.
    write_deltalake(into.folder, pa.Table.from_arrays(filled, schema=fields), mode="append")
    return counts(inserted=len(rows))


def counts(**changed: int) -> Result:
    """Return the answer of a change: the rows in all, and by kind of change."""
    counted = {"num_affected_rows": sum(changed.values())}
    counted |= {f"num_{kind}_rows": count for kind, count in changed.items()}
    columns = [
        {"name": name, "position": i, "type_name": "LONG", "type_text": "BIGINT"}
        for i, name in enumerate(counted)
    ]
    return Result(columns, [[str(count) for count in counted.values()]], False, 8)


def _adapt(node: exp.Expr, now: datetime) -> exp.Expr:
    """Replace words by which DuckDB means something else."""
    if isinstance(node, (exp.CurrentTimestamp, exp.CurrentDate)):
        kind = "DATE" if isinstance(node, exp.CurrentDate) else "TIMESTAMPTZ"
        return exp.cast(exp.Literal.string(now.isoformat()), kind)
    if isinstance(node, exp.CountIf):  # NULL without rows there, 0 here
        return exp.Coalesce(this=node.copy(), expressions=[exp.Literal.number(0)])
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TIMESTAMP_MILLIS":
        micros = exp.Mul(this=node.expressions[0], expression=exp.Literal.number(1000))
        return exp.Anonymous(this="make_timestamptz", expressions=[micros])
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
