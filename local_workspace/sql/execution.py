"""Running a prepared query in a DuckDB of its own, over Delta tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import duckdb
import pyarrow
import pyarrow.dataset
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from . import ai_query
from .ai_query import Send
from .errors import SqlError
from .query import Query
from .values import as_text, type_name, type_text

pa: Any = pyarrow  # its annotations cover too little to check against

INLINE_LIMIT = 26_214_400
"""Bytes of a result that is returned inline."""

_FETCH = 200
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "memory_limit": "1GB",
    "threads": "2",
}


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


def connect(query: Query, sources: Mapping[str, object], send: Send) -> duckdb.DuckDBPyConnection:
    """Return a database of its own for one statement, with the tables that it reads.

    Parameters
    ----------
    send
        Asks endpoints for the statement.
    """
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    connection.execute("SET TimeZone='UTC'")
    contents = {table: _dataset(table, source) for table, source in sources.items()}
    files = {table: _files(content, sources[table]) for table, content in contents.items()}
    connection.execute("SET allowed_paths = $1", [[*chain.from_iterable(files.values())]])
    connection.execute("SET enable_external_access = false")
    for table, content in contents.items():
        if files[table]:
            connection.read_parquet(files[table]).create_view(table)
        else:
            connection.register(table, content)
    ai_query.add(connection, query.questions, send)
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
                rows.append([as_text(value) for value in row])
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
        raise ai_query.said(error) from error
    columns = [
        {"name": n, "position": i, "type_name": type_name(kind), "type_text": type_text(kind)}
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


def _files(content: Any, folder: object) -> list[str]:
    """Return the files of a table that DuckDB reads itself, at half of Arrow's cost.

    Arrow reads those that lack a column: it came later, or it is in the name of their folder.
    """
    if not isinstance(content, pyarrow.dataset.Dataset):
        return []
    fragments = [*content.get_fragments()]
    same = all(each.physical_schema.equals(content.schema) for each in fragments)
    return [f"{folder}/{each.path}" for each in fragments] if same else []


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
        raise ai_query.said(error) from error
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
