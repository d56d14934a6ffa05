"""Files of cells into a Delta table of cells: backed, a piece at a time, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ...cells.counts_place import CountsPlace
from ...cells.files import open_cells, state_of
from ...cells.imputed import check_data_set
from ...cells.job_options import CELLS_PER_READ, check_chunk
from ...errors import InvalidRequest
from .rows import CELL_COLUMNS, PLACE, SOURCE, STATE, Origin, cell_tables
from .tables import check_columns, columns_of, path_of, reference, sentences

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Progress = Callable[[int, int], None]
_TYPES = {"string": "string", "int64": "bigint"}
_DDL = ", ".join(f"{field.name} {_TYPES[str(field.type)]}" for field in CELL_COLUMNS)


@dataclass(frozen=True)
class Converted:
    """The conversion of one file.

    Parameters
    ----------
    source
        Name of the file.
    cells
        In the file.
    resumed_at
        Cells that were in the table before.
    """

    source: str
    cells: int
    resumed_at: int


def convert(
    spark: SparkSession,
    source: Path,
    table: str,
    *,
    place: CountsPlace | None = None,
    chunk: int = CELLS_PER_READ,
    allow_imputed: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Append the cells of a file to a Delta table; each piece is one commit.

    A run that was stopped goes on after its last commit. A file that is all there is left alone.

    Parameters
    ----------
    spark
        The session.
    source
        As ``open_cells`` takes it.
    table
        Name or path; it is made where it is missing.
    place
        The matrix that is read; by default ``X``.
    chunk
        Cells of a piece; two such pieces are in memory.
    allow_imputed
        Take values that look imputed or scaled.
    progress
        Called with (cells done, cells in all).

    Raises
    ------
    InvalidRequest
        ``source_changed``: the table holds cells of this file as it was before, or the file was
        written to meanwhile; ``two_runs``; ``missing_columns`` or ``wrong_type``: the table is no
        table of cells; as ``open_cells`` and ``check_cells``.
    """
    check_chunk(chunk)
    place = place or CountsPlace()
    before = state_of(source)
    origin = Origin(source.name, _state(before, place))
    with open_cells(source, place) as cells, sentences():
        if not cells.n_cells:
            raise InvalidRequest("no_cells", f"{source.name}: the AnnData holds no cell.")
        if not allow_imputed:
            check_data_set(cells.rows(at, at + chunk) for at in range(0, cells.n_cells, chunk))
        _make(spark, table)
        start = _done(spark, table, origin)
        for done, rows in cell_tables(cells, origin, start, chunk):
            if state_of(source) != before:
                raise InvalidRequest(
                    "source_changed",
                    f"{source} was written to while it was converted. {_forget(table, source)}",
                )
            _append(spark, table, rows, origin, done)
            if progress:
                progress(done, cells.n_cells)
        return Converted(source.name, cells.n_cells, start)


def _state(of_file: list[str | int], place: CountsPlace) -> str:
    """Return a short digest of size and time of a file and of the matrix; its path may differ."""
    text = json.dumps([of_file[1:], asdict(place)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(spark: SparkSession, table: str) -> None:
    found = columns_of(spark, table)
    if found is None:
        spark.sql(f"CREATE TABLE IF NOT EXISTS {reference(table)} ({_DDL}) USING delta")
        return
    wanted = {field.name: _TYPES[str(field.type)] for field in CELL_COLUMNS}
    check_columns(found, wanted, table)


def _done(spark: SparkSession, table: str, origin: Origin) -> int:
    """Return how many cells of a file the table holds; commits are whole and in order."""
    rows = spark.table(reference(table)).where(f"{SOURCE} = {_text(origin.name)}")
    found = rows.groupBy(STATE).agg({PLACE: "max"}).collect()
    others = [row[0] for row in found if row[0] != origin.state]
    if others:
        raise InvalidRequest(
            "source_changed",
            f"{table} holds cells of another {origin.name}: of another size or time, or of another "
            f"matrix. {_forget(table, Path(origin.name))}",
        )
    return int(found[0][1]) + 1 if found else 0


def _forget(table: str, source: Path) -> str:
    which = f"FROM {reference(table)} WHERE {SOURCE} = {_text(source.name)}"
    return f"Take its rows out (DELETE {which}) and run the command again, or rename the file."


def _append(spark: SparkSession, table: str, rows: pa.Table, origin: Origin, done: int) -> None:
    """Commit one piece. Delta drops a transaction that it has, so that no piece is there twice."""
    frame = spark.createDataFrame(rows)
    writer = frame.coalesce(1).write.format("delta").mode("append")
    writer = writer.option("txnAppId", f"{origin.name}@{origin.state}").option("txnVersion", done)
    if (path := path_of(table)) is not None:
        writer.save(path)
    else:
        writer.saveAsTable(reference(table))


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
