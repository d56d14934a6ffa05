"""Delta tables by name or path: found, checked, made, and told apart when something fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidRequest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_][\w-]*){0,2}")
_REMOTE = re.compile(r"[a-z][a-z0-9]*:/")
_MISSING = (
    "TABLE_OR_VIEW_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "PATH_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_PATH_DOES_NOT_EXIST",
    "is not a Delta table",
)
_MENDABLE = {
    "two_runs": (
        "another run writes to the same table or checkpoint. What is written stays; run the "
        "command again when that run has ended."
    ),
    "disk_full": (
        "the disk is full. Nothing half written shows in the table; make room (Spark's own files "
        "are in spark.local.dir) and run the command again: it goes on where it was."
    ),
    "schema_changed": (
        "the schema of the table of cells was changed while it was read. Run the command again: "
        "it goes on where it was, with the new schema."
    ),
}
"""Failures that a user can mend."""
_WORDS = {
    "ConcurrentAppend": "two_runs",
    "ConcurrentTransaction": "two_runs",
    "ConcurrentWrite": "two_runs",
    "ConcurrentModification": "two_runs",
    "DELTA_CONCURRENT": "two_runs",
    "CONCURRENT_QUERY": "two_runs",
    "CONCURRENT_STREAM_LOG": "two_runs",
    "Multiple streaming queries": "two_runs",
    "No space left on device": "disk_full",
    "Disk quota exceeded": "disk_full",
    "DELTA_SCHEMA_CHANGED": "schema_changed",
    "DELTA_SCHEMA_CHANGE_SINCE": "schema_changed",
    "DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE": "schema_changed",
}
"""Words by which such a failure is known in what Spark says."""


def path_of(table: str) -> str | None:
    """Return the path of a table that is given by one, which holds a slash; else None."""
    if "/" not in table or "`" in table:
        return None
    return table if _REMOTE.match(table) else str(Path(table).resolve())


def reference(table: str) -> str:
    """Return a table as SQL names it.

    Parameters
    ----------
    table
        ``catalog.schema.table``, or a path.

    Raises
    ------
    InvalidRequest
        ``invalid_table``.
    """
    if (path := path_of(table)) is not None:
        return f"delta.`{path}`"
    if not _NAME.fullmatch(table):
        raise InvalidRequest(
            "invalid_table",
            f"{table!r} is no table; give catalog.schema.table, or a path with a slash "
            f"(./{table.strip('`') or 'cells'}).",
        )
    return ".".join(f"`{part}`" for part in table.split("."))


def columns_of(spark: SparkSession, table: str) -> dict[str, str] | None:
    """Return names and types of a table's columns; None where there is no table."""
    from pyspark.errors import AnalysisException

    try:
        return dict(spark.table(reference(table)).dtypes)
    except AnalysisException as error:
        if not any(words in str(error) for words in _MISSING):
            raise
        return None


def check_columns(found: Mapping[str, str] | None, wanted: Mapping[str, str], table: str) -> None:
    """Refuse a table that is not there or lacks columns.

    Raises
    ------
    InvalidRequest
        ``no_table``, ``missing_columns``, ``wrong_type``.
    """
    if found is None:
        raise InvalidRequest(
            "no_table",
            f"there is no Delta table {table}. `scgpt spark convert FILES --into {table}` makes a "
            "table of cells.",
        )
    if missing := [name for name in wanted if name not in found]:
        raise InvalidRequest(
            "missing_columns",
            f"{table} has no column {', '.join(missing)}; its columns: {', '.join(found)}.",
        )
    for name, kind in wanted.items():
        if found[name] != kind:
            raise InvalidRequest(
                "wrong_type", f"{name} of {table} is of type {found[name]}; it must be {kind}."
            )


@contextmanager
def sentences() -> Iterator[None]:
    """Turn the failures of Spark that a user can mend into a sentence.

    Raises
    ------
    InvalidRequest
        Of the codes above; and of a code that a worker raised.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise mendable(str(error)) or error from error


def mendable(said: str) -> InvalidRequest | None:
    """Find the failure that a user can mend in what Spark says; None: it is none."""
    for words, code in _WORDS.items():
        if words in said:
            return InvalidRequest(code, _MENDABLE[code])
    tagged = re.search(r"RuntimeError: \[([a-z][a-z0-9_]+)\] (.+)", said)
    return InvalidRequest(tagged[1], tagged[2].strip()) if tagged else None
