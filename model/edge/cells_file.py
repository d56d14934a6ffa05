"""Read cells by h5py and numpy alone, for machines that have nothing else.

``cells.h5ad`` is the reader of the product. It needs anndata, pandas and scipy, which an edge
machine does not have; a test holds both to the same rows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..cells.cells import RowArrays
from ..cells.hdf5 import open_hdf5
from ..errors import InvalidRequest

_TABLES = {".csv": ",", ".tsv": "\t"}
ENDINGS = (".h5ad", *_TABLES)


@dataclass(frozen=True)
class CellsAtEdge:
    """Cells of a file, of which some are read at a time.

    Parameters
    ----------
    genes
        Name of each column.
    names
        Name of each cell.
    parts
        ``data``, ``indices`` and ``indptr``, of h5py or numpy; a dense matrix alone.
    """

    genes: list[str]
    names: list[str]
    parts: tuple[Any, ...]

    def rows(self, start: int, stop: int) -> RowArrays:
        """Read some cells: ``[at most stop - start, genes]``, values as they are stored."""
        stop, n_genes = min(stop, len(self.names)), len(self.genes)
        if len(self.parts) == 1:
            dense = np.asarray(self.parts[0][start:stop])
            row, column = np.nonzero(dense)
            indptr = np.searchsorted(row, np.arange(len(dense) + 1))
            return RowArrays((len(dense), n_genes), dense[row, column], column, indptr)
        data, indices, ends = self.parts
        indptr = np.asarray(ends[start : stop + 1], dtype=np.int64)
        some = slice(int(indptr[0]), int(indptr[-1]))
        columns = np.asarray(indices[some], dtype=np.int64)
        indptr = indptr - indptr[0]
        if (np.diff(indptr) < 0).any() or (columns.size and not _inside(columns, n_genes)):
            raise InvalidRequest(
                "invalid_matrix",
                f"rows {start} to {stop} of the file point outside the matrix. Write it anew.",
            )
        return _added_up((stop - start, n_genes), np.asarray(data[some]), columns, indptr)


def read_cells_at_edge(
    path: Path, *, layer: str | None = None, raw: bool = False, gene_names: str | None = None
) -> CellsAtEdge:
    """Open a file of cells.

    Parameters
    ----------
    path
        ``.h5ad`` (anndata 0.7 or later); or ``.csv``, ``.tsv``: a header of gene names, then a row
        per cell, its name first.
    layer, raw
        Where the counts of an ``.h5ad`` are; by default in ``X``.
    gene_names
        Column of ``var`` that names the genes; by default its index.

    Raises
    ------
    InvalidRequest
        ``invalid_file``, ``no_matrix``, ``no_gene_names``: the sentence says what is missing.
    """
    ending = path.suffix.lower()
    if ending in _TABLES:
        return _read_table(path, _TABLES[ending])
    if ending != ".h5ad":
        raise _invalid(path, f"its ending is none of {', '.join(ENDINGS)}")
    try:
        file = open_hdf5(path)
    except OSError as error:
        raise _invalid(path, str(error)) from error
    place = f"layers/{layer}" if layer is not None else "raw/X" if raw else "X"
    table = "raw/var" if raw else "var"
    if place not in file:
        there = ", ".join(sorted(file.get("layers", ()))) or "none"
        raise InvalidRequest(
            "no_matrix", f"{path.name} has no {place}; its layers: {there}. Name the counts' place."
        )
    if table not in file or "obs" not in file:
        raise _invalid(path, f"it has no {table} or no obs")
    genes = _names(path, file[table], gene_names)
    names = _names(path, file["obs"], None)
    return CellsAtEdge(genes, names, _parts(path, file[place], (len(names), len(genes))))


def _parts(path: Path, stored: Any, shape: tuple[int, int]) -> tuple[Any, ...]:
    if isinstance(stored, h5py.Dataset):
        if stored.shape != shape:
            raise _invalid(path, f"its matrix is {stored.shape}, its tables are {shape}")
        return (stored,)
    attributes = dict(stored.attrs)
    kind = _text(attributes.get("encoding-type", attributes.get("h5sparse_format", "")))
    said: Any = attributes.get("shape", attributes.get("h5sparse_shape", ()))
    told = tuple(int(n) for n in said)
    if told != shape or not {"data", "indices", "indptr"} <= set(stored):
        raise _invalid(path, f"its matrix is {told or 'nothing known'}, its tables are {shape}")
    parts = stored["data"], stored["indices"], stored["indptr"]
    if kind.startswith("csr"):
        return parts
    if kind.startswith("csc"):
        return _by_rows(parts, shape[0])
    raise _invalid(path, f"its matrix is stored as {kind!r}, not csr, csc or dense")


def _by_rows(columns_stored: tuple[Any, ...], n_rows: int) -> tuple[NDArray[Any], ...]:
    data, rows, ends = (part[()] for part in columns_stored)
    columns = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    return data[order], columns[order], indptr


def _added_up(
    shape: tuple[int, int], data: NDArray[Any], columns: NDArray[np.int64], indptr: NDArray[Any]
) -> RowArrays:
    """Return rows in which each column comes once, in order; what was stored twice is added up."""
    row = np.repeat(np.arange(shape[0]), np.diff(indptr))
    place = row * shape[1] + columns
    order = np.argsort(place, kind="stable")
    place = place[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    if len(first) < len(place):
        data, place = np.add.reduceat(data[order], first), place[first]
    else:
        data = data[order]
    indptr = np.searchsorted(place, np.arange(shape[0] + 1) * shape[1])
    return RowArrays(shape, data, place % shape[1], indptr)


def _names(path: Path, table: Any, column: str | None) -> list[str]:
    index = _text(table.attrs.get("_index", ""))
    if index not in table:
        raise _invalid(path, f"its {table.name} has no index (anndata before 0.7 wrote none)")
    own = list(_strings(table, index))
    if column is None:
        return [name or "" for name in own]
    if column not in table:
        there = ", ".join(name for name in table if not name.startswith("_")) or "none"
        raise InvalidRequest(
            "no_gene_names", f"{table.name} has no column {column!r}; its columns: {there}."
        )
    return [name or mine or "" for name, mine in zip(_strings(table, column), own, strict=True)]


def _strings(table: Any, name: str) -> Iterator[str | None]:
    """Read a column of a table, in any form that anndata writes; None: no value."""
    stored = table[name]
    if isinstance(stored, h5py.Group) and "codes" in stored:
        yield from _chosen(stored["codes"][()], stored["categories"][()])
    elif isinstance(stored, h5py.Group):
        for value, missing in zip(stored["values"][()], stored["mask"][()], strict=True):
            yield None if missing else _text(value)
    elif "categories" in stored.attrs:  # anndata 0.7
        yield from _chosen(stored[()], table.file[stored.attrs["categories"]][()])
    else:
        yield from map(_text, stored[()])


def _chosen(codes: NDArray[Any], categories: NDArray[Any]) -> Iterator[str | None]:
    known = [_text(category) for category in categories]
    return (None if code < 0 else known[code] for code in codes)


def _read_table(path: Path, delimiter: str) -> CellsAtEdge:
    names: list[str] = []
    data: list[NDArray[np.float64]] = []
    indices: list[NDArray[np.int64]] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=delimiter)
        genes = next(lines, [])[1:]
        for name, *values in lines:
            row = _numbers(path, name, values, len(genes))
            (column,) = np.nonzero(row)
            names.append(name)
            data.append(row[column])
            indices.append(column)
    if not names:
        raise _invalid(path, "it has no cell below its header")
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in data])])
    return CellsAtEdge(genes, names, (np.concatenate(data), np.concatenate(indices), indptr))


def _numbers(path: Path, name: str, values: Sequence[str], wanted: int) -> NDArray[np.float64]:
    if len(values) != wanted:
        raise _invalid(path, f"cell {name!r} has {len(values)} values for {wanted} genes")
    try:
        return np.array(values, dtype=np.float64)
    except ValueError as error:
        raise _invalid(path, f"cell {name!r}: {error}") from error


def _inside(columns: NDArray[np.int64], n_genes: int) -> bool:
    return bool(columns.min() >= 0 and columns.max() < n_genes)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _invalid(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_file",
        f"{path.name} cannot be read: {why}. Give an .h5ad with counts, or a .csv of cells x "
        "genes with names in its first row and column.",
    )
