"""Translating a query in the Databricks dialect to DuckDB's, with the caller's grants.

sqlglot translates to DuckDB; every table is replaced by its Delta table, so DuckDB itself sees
nothing else: no files, no network, no variables of this process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..catalog import access, securables
from ..core.errors import ApiError
from ..core.workspace import Principal, Workspace
from ..identity import principals
from ..serving.system_tables import SERVED_ENTITIES, served_entities
from . import ai_query
from .ai_query import Question
from .errors import SqlError

_PARAMETER_TYPES = ("STRING", "BOOLEAN", "INT", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_NOT_TRANSLATED = ("FROM_JSON", "SCHEMA_OF_JSON", "READ_FILES")


@dataclass(frozen=True)
class Query:
    """A checked and translated statement.

    Parameters
    ----------
    text
        DuckDB's SQL.
    tables
        Full names of the tables that it reads, each under its own name as one identifier.
    questions
        Functions that ask endpoints.
    """

    text: str
    tables: tuple[str, ...]
    questions: tuple[Question, ...] = ()


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
    questions = ai_query.translate(tree)
    now = datetime.fromtimestamp(workspace.now_ms() / 1000, UTC)
    text = tree.transform(_adapt, now).sql(dialect="duckdb")
    return Query(text, tuple(dict.fromkeys(tables)), questions)


def sources(workspace: Workspace, principal: Principal, query: Query) -> dict[str, object]:
    """Return the content of each table of a query: a Delta table's folder, or its rows."""
    return {
        table: served_entities(workspace, principal)
        if table == SERVED_ENTITIES
        else str(workspace.tables / table)
        for table in query.tables
    }


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
    places = tree.find_all(exp.Table, exp.Subquery, exp.CTE)
    named = {place.alias_or_name.lower() for place in places}
    for column in tree.find_all(exp.Column):
        if column.table.lower() in named:  # else what stands before it is a column with fields
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
    if isinstance(node, exp.ApproxQuantile):  # a value that occurs there, one between two here
        value = node.this.transform(_adapt, now)
        return exp.func("quantile_disc", value, node.args["quantile"].copy())
    if isinstance(node, exp.TimestampTrunc):  # with time zones, it takes fifteen times as long
        moment = exp.cast(node.this.transform(_adapt, now), "TIMESTAMPTZ")
        plain = exp.func("make_timestamp", exp.func("epoch_us", moment))
        hour = exp.TimestampTrunc(this=plain, unit=node.unit)
        return exp.func("make_timestamptz", exp.func("epoch_us", hour))
    if isinstance(node, (exp.JSONExtract, exp.JSONExtractScalar)):
        # Text that is no JSON is an error there, NULL here; and `col:path` gives text here.
        scalar = exp.JSONExtractScalar(**{k: v for k, v in node.args.items() if v is not None})
        return exp.Anonymous(this="TRY", expressions=[scalar])
    return node
