"""Write the embeddings of a file: into a copy of it, or as a table of their own."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import write_elem

from scgpt_databricks.whole_file import check_target, draft, draft_in_any_order

from ..cells.h5ad import CellsFile
from ..cells.job_options import COUNTED, OBS_COLUMNS, STATUS_COLUMN
from ..client.about import storable
from ..errors import InvalidRequest
from .unfinished import Unfinished

DELTA = ".delta"  # ending of a target that is a Delta table
_USUAL_WIDTH = 512  # for an estimate of space
_CANNOT_WRITE = (LookupError, ValueError, TypeError, RuntimeError, AttributeError)


@dataclass(frozen=True)
class Result:
    """All rows of a file, to be written.

    Parameters
    ----------
    cells
        The file that was embedded.
    work
        Its rows, and the target.
    key
        Of ``obsm``.
    record
        How they were made; goes into ``uns["scgpt"]``.
    source
        The file as it was named; `cells` may be a copy in another format.
    """

    cells: CellsFile
    work: Unfinished
    key: str
    record: Mapping[str, Any]
    source: Path

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the vectors a piece at a time: a row per cell, by its name."""
        for start, rows in self.work.rows():
            vectors = rows.embeddings
            columns = [f"{self.key}_{number}" for number in range(vectors.shape[1])]
            names = pd.Index(self.cells.names(start, start + len(vectors)), name="cell")
            yield pd.DataFrame(vectors, index=names, columns=columns)


def check_result(target: Path, cells: CellsFile) -> None:
    """Refuse a target that cannot be written, before any cell is embedded.

    Raises
    ------
    InvalidRequest
        ``invalid_target`` for an ending that is not known, ``missing_package``.
    TargetError
        It cannot be written there, or there is no space for it.
    """
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise InvalidRequest(
            "invalid_target",
            f"{target.name} has another ending than .h5ad, .csv, .parquet, .npy or .delta.",
        )
    for package in _NEEDED.get(writer, ()):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InvalidRequest(
                "missing_package", f"{target.name} needs {package}: pip install {package}."
            ) from error
    if writer is _delta:
        _check_table(target)
        return
    vectors = cells.n_cells * _USUAL_WIDTH * 4
    copy = cells.path.stat().st_size if writer is _h5ad else 0
    check_target(target, copy + 2 * vectors)


def write_result(result: Result) -> str:
    """Write the target, whole; return a sentence where it is not what was asked for."""
    return _WRITERS[result.work.target.suffix.lower()](result)


def _h5ad(result: Result) -> str:
    with draft_in_any_order(result.work.target, result.work.folder) as path:
        shutil.copyfile(result.cells.path, path)
        try:
            _put_into(path, result)
        except _CANNOT_WRITE as error:
            path.unlink()
            _write_alone(path, result)
            return (
                f"{result.cells.path.name} takes no embeddings ({error}), so {result.work.target} "
                "holds the embeddings alone."
            )
    return ""


def _put_into(copy: Path, result: Result) -> None:
    with h5py.File(copy, "r+", locking=False) as file:
        for group in ("obsm", "uns"):  # anndata reads files without them
            if group not in file:
                write_elem(file, group, {})
        _put_rows(file["obsm"], result)
        for name, column in _columns(result.work).items():
            write_elem(file["obs"], name, column)
            order = [entry for entry in file["obs"].attrs["column-order"] if entry != name]
            file["obs"].attrs["column-order"] = np.array([*order, name], dtype=object)
        write_elem(file["uns"], "scgpt", storable(result.record))


def _columns(work: Unfinished) -> dict[str, Any]:
    """Return what obs gets to know of each cell, by the name of the column."""
    kept = [rows for _, rows in work.rows()]
    counted = {
        column: np.concatenate([getattr(rows, name) for rows in kept])
        for column, name in zip(OBS_COLUMNS, COUNTED, strict=True)
    }
    status = pd.Categorical(np.concatenate([rows.status for rows in kept]))
    return {**counted, STATUS_COLUMN: status}


def _put_rows(group: h5py.Group, result: Result) -> None:
    """Write the vectors as anndata's format has an array, a piece at a time."""
    if result.key in group:
        del group[result.key]
    for start, rows in result.work.rows():
        vectors = rows.embeddings
        if not start:
            shape = (result.cells.n_cells, vectors.shape[1])
            stored = group.create_dataset(result.key, shape, np.float32)
            stored.attrs["encoding-type"], stored.attrs["encoding-version"] = "array", "0.2.0"
        stored[start : start + len(vectors)] = vectors


def _write_alone(path: Path, result: Result) -> None:
    names = result.cells.names(0, result.cells.n_cells)
    adata = AnnData(obs=pd.DataFrame(_columns(result.work), index=names))
    adata.obsm[result.key] = np.concatenate([rows.embeddings for _, rows in result.work.rows()])
    adata.uns["scgpt"] = storable(result.record)
    adata.write_h5ad(path)


def _csv(result: Result) -> str:
    with draft(result.work.target, result.work.folder) as path, path.open("w") as file:
        for number, table in enumerate(result.tables()):
            table.to_csv(file, header=not number)
    return ""


def _parquet(result: Result) -> str:
    pa: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    with draft(result.work.target, result.work.folder) as path, path.open("wb") as file:
        writer = None
        for table in result.tables():
            found = pa.Table.from_pandas(table)
            about = {**found.schema.metadata, b"scgpt": json.dumps(result.record).encode()}
            found = found.replace_schema_metadata(about)
            writer = writer or parquet.ParquetWriter(file, found.schema)
            writer.write_table(found)
        assert writer is not None
        writer.close()
    return ""


def _delta(result: Result) -> str:
    """Put the rows of one file into a Delta table; they take the place of its earlier ones."""
    pa: Any = importlib.import_module("pyarrow")
    delta: Any = importlib.import_module("deltalake")
    target, source = result.work.target, str(result.source.resolve())
    kinds = [("source", pa.string()), ("source_row", pa.int64()), ("cell_id", pa.string())]
    kinds += [("embedding", pa.list_(pa.float32()))]
    kinds += [(f"{name}_genes", pa.int64()) for name in COUNTED]
    schema = pa.schema([*kinds, ("status", pa.string()), ("model_digest", pa.string())])

    def batches() -> Iterator[Any]:
        for start, rows in result.work.rows():
            n_cells, width = rows.embeddings.shape
            ends = pa.array(np.arange(n_cells + 1, dtype=np.int32) * width)
            columns = [
                pa.array([source] * n_cells),
                pa.array(np.arange(start, start + n_cells)),
                pa.array(result.cells.names(start, start + n_cells)),
                pa.ListArray.from_arrays(ends, pa.array(rows.embeddings.ravel())),
                *(pa.array(getattr(rows, name)) for name in COUNTED),
                pa.array(rows.status.tolist()),
                pa.array([result.record["model_digest"]] * n_cells),
            ]
            yield pa.record_batch(columns, schema=schema)

    rows = pa.RecordBatchReader.from_batches(schema, batches())
    own = "source = '" + source.replace("'", "''") + "'"
    replace = {"mode": "overwrite", "predicate": own} if _is_table(target) else {}
    try:
        delta.write_deltalake(target, rows, **replace)
    except (delta.exceptions.DeltaError, OSError, ValueError) as error:
        raise InvalidRequest(
            "invalid_target",
            f"{target} takes no embeddings ({error}). Make room, or name another table.",
        ) from error
    return ""


def _is_table(target: Path) -> bool:
    return (target / "_delta_log").is_dir()


def _check_table(target: Path) -> None:
    if target.exists() and not _is_table(target):
        raise InvalidRequest(
            "invalid_target", f"{target} is there, and is no Delta table; name another."
        )
    check_target(target.with_name(f"{target.name}.trial"))


def _npy(result: Result) -> str:
    with draft(result.work.target, result.work.folder) as path, path.open("wb") as file:
        for start, rows in result.work.rows():
            vectors = rows.embeddings
            if not start:
                described = np.lib.format.header_data_from_array_1_0(vectors)
                described["shape"] = (result.cells.n_cells, vectors.shape[1])
                np.lib.format.write_array_header_1_0(file, described)
            file.write(vectors.tobytes())
    return ""


_WRITERS: dict[str, Callable[[Result], str]] = {
    "": _h5ad,
    ".h5ad": _h5ad,
    ".csv": _csv,
    ".parquet": _parquet,
    ".npy": _npy,
    DELTA: _delta,
}
_NEEDED: dict[Callable[[Result], str], tuple[str, ...]] = {
    _parquet: ("pyarrow",),
    _delta: ("pyarrow", "deltalake"),
}
