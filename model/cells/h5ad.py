"""The one reader of ``.h5ad``: one matrix, and the names of its rows and columns.

``anndata.read_h5ad(backed="r")`` keeps only ``X`` on disk; layers, ``obsm``, ``obsp`` and ``uns``
come into memory whole, and with them grows a process that wanted the counts. Another kind of file
becomes another class with ``genes``, ``n_cells``, ``rows`` and ``names``.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, sparse_dataset
from numpy.typing import NDArray
from scipy import sparse

from ..contract import MAX_BODY_BYTES
from ..errors import InvalidRequest, LimitExceeded
from .cells import Cells
from .checks import check_size
from .counts_place import CountsPlace
from .find_counts import JUDGED_ROWS, JUDGED_VALUES, Sample
from .hdf5 import check_chunks, open_hdf5
from .kinds import damages_told
from .labels import labels
from .matrix import as_csr, native
from .untrusted import bytes_to_read, check_column, refuse_links

_X = CountsPlace()
_WRITTEN_TO = "obs", "column-order"


def read_cells(path: Path, columns: Collection[str] = (), place: CountsPlace = _X) -> Cells:
    """Read the cells of a file that a caller named: a matrix, names, and some columns of obs.

    Parameters
    ----------
    path
        An ``.h5ad``: the matrix sparse or dense, ``[cells, genes]``, numbers of any type.
    columns
        Of obs, where it has them.
    place
        The matrix that is read; the genes go by the index of its ``var``.

    Returns
    -------
    Cells
        ``counts`` float32 CSR, duplicates added up.

    Raises
    ------
    InvalidRequest
        ``invalid_file``: it is no readable AnnData file, or holds links to others; ``no_matrix``
        without this matrix; ``invalid_matrix``.
    LimitExceeded
        ``too_many_cells``, ``too_many_genes``: more than a row of a request may have;
        ``file_too_large``: ``X`` has more than ``MAX_BODY_BYTES``, or names and labels more than
        ``MAX_CELLS_BYTES``. Found before anything of it is kept.
    """
    try:
        with open_hdf5(path) as file:
            return _cells(path, file, columns, place)
    except InvalidRequest as error:
        if error.code != "not_anndata":
            raise
        raise InvalidRequest("invalid_file", error.message) from error
    except Exception as error:  # three libraries read what anybody may have written
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InvalidRequest(
            "invalid_file",
            f"{path.name} cannot be read as an AnnData file: {why}. Write it anew, with "
            "adata.write_h5ad.",
        ) from error


def _cells(path: Path, file: h5py.File, columns: Collection[str], place: CountsPlace) -> Cells:
    refuse_links(path, file)
    if place.find_matrix:
        place = place.found(_matrices(path, file))
    matrix = StoredMatrix.find(path, file, place)
    check_size(*matrix.shape, "the file")
    _check_bytes(matrix)
    obs = file["obs"]
    ids, genes = (
        [str(name) for name in _bounded(_index(path, file, table), f"the index of {table}")]
        for table in ("obs", place.var)
    )
    found = {c: labels(_bounded(obs[c], c)) for c in columns if c and c in obs}
    if {len(ids), *map(len, found.values())} != {matrix.shape[0]}:
        raise ValueError(f"obs does not describe the {matrix.shape[0]} rows of X")
    return Cells(as_csr(matrix.read()).astype(np.float32), genes, ids, found)


class CellsFile:
    """An ``.h5ad`` open for reading a piece at a time; a context manager.

    Parameters
    ----------
    path
        Of the file: its matrix is CSR or dense, the index of ``var`` are gene symbols; ``obs`` can
        receive columns.
    place
        The matrix that is read.
    by_columns
        Take a matrix that is CSC; it comes into memory.

    Attributes
    ----------
    path
        Of the file.
    n_cells
        Rows of the matrix.
    genes
        Names of its genes.
    path_used, matrices, gene_columns
        As of ``AnnDataCells``.

    Raises
    ------
    InvalidRequest
        ``not_anndata`` when there is no ``X`` or no index of ``var`` or ``obs``, ``no_matrix``
        when there is no such layer or ``raw``, ``not_by_rows`` when the matrix is CSC,
        ``missing_filter`` when HDF5 needs a plugin to read it.
    """

    def __init__(self, path: Path, place: CountsPlace = _X, *, by_columns: bool = False) -> None:
        self.path = path
        with damages_told(path):
            self._file = open_hdf5(path)
            self._open(path, place, by_columns=by_columns)

    def _open(self, path: Path, place: CountsPlace, *, by_columns: bool) -> None:
        try:
            self.matrices = _matrices(path, self._file)
            place = place.found(self.matrices)
            self.path_used = place.path
            self._matrix = StoredMatrix.find(path, self._file, place)
            stored = _index(path, self._file, place.var), _index(path, self._file, *_WRITTEN_TO)
            check_chunks(path, *self._matrix.parts, *stored)
            if by_columns:
                self._matrix = self._matrix.by_rows()
            self._matrix.check_by_rows(place.path)
            genes, self._names = (_Names(each) for each in stored)
            var = self._file[place.var]
            there = [name for name in var if not name.startswith("_")]
            self.gene_columns = place.columns(
                genes[:], there, lambda name: _bounded(var[name], name)
            )
            self.genes, self.n_cells = self.gene_columns.names, self._matrix.shape[0]
            self._names.check(path, self.n_cells)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Read some cells: ``[at most stop - start, genes]``."""
        with damages_told(self.path):
            return self.gene_columns.count(self._matrix.rows(start, stop))

    def labels(self, column: str) -> list[str | None]:
        """Read a column of ``obs`` (``no_batches``: there is none of that name)."""
        obs = self._file["obs"]
        if column not in obs:
            there = ", ".join(name for name in obs if not name.startswith("_")) or "none"
            raise InvalidRequest(
                "no_batches", f"obs has no column {column!r} (batch_key); its columns: {there}."
            )
        return labels(_bounded(obs[column], column))

    def names(self, start: int, stop: int) -> list[str]:
        """Read the index of ``obs`` of some cells."""
        with damages_told(self.path):
            return self._names[start:stop]


class _Names:
    """An index, read a piece at a time; one that is no plain array comes into memory."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored if isinstance(stored, h5py.Dataset) else read_elem(stored)

    def check(self, path: Path, count: int) -> None:
        """Refuse another number of names than of rows."""
        if len(self._stored) != count:
            raise _not_anndata(path, f"it has {count} cells and names {len(self._stored)}")

    def __getitem__(self, some: slice) -> list[str]:
        return [
            name.decode() if isinstance(name, bytes) else str(name) for name in self._stored[some]
        ]


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix as it lies in a file, unread: the dense array, or data, indices and indptr."""

    shape: tuple[int, int]
    parts: tuple[Any, ...]
    """Arrays of h5py, or of numpy where it is in memory."""
    kind: Any  # scipy's class; None: dense

    @classmethod
    def find(cls, path: Path, file: h5py.File, place: CountsPlace) -> StoredMatrix:
        """Find a matrix in a file (errors as ``CellsFile``)."""
        layers = list(file.get("layers", ()))
        is_there = place.layer is None or place.layer in layers
        stored: Any = file.get(place.path) if is_there else None
        if stored is None and not {"obs", "var"} <= set(file):
            raise _not_anndata(path, "it has no X, obs or var")
        if stored is None:
            raise place.missing(path.name, layers)
        if isinstance(stored, h5py.Dataset):
            if stored.ndim != 2:
                raise _not_anndata(path, f"{place.path} has {stored.ndim} dimension(s)")
            return cls((stored.shape[0], stored.shape[1]), (stored,), None)
        described: Any = sparse_dataset(stored)
        kind = sparse.csr_matrix if described.format == "csr" else sparse.csc_matrix
        parts = tuple(stored[name] for name in ("data", "indices", "indptr"))
        return cls((int(described.shape[0]), int(described.shape[1])), parts, kind)

    def check_by_rows(self, name: str) -> None:
        """Refuse a matrix of which some rows cannot be read alone (``not_by_rows``)."""
        if self.kind is sparse.csc_matrix:
            raise InvalidRequest(
                "not_by_rows",
                f"{name} is stored by columns (CSC), so every chunk would read the whole "
                "file; write it again by rows, as adata.X = adata.X.tocsr() does for X.",
            )

    def by_rows(self) -> StoredMatrix:
        """Return it stored by rows; CSC comes into memory for that."""
        if self.kind is not sparse.csc_matrix:
            return self
        found = as_csr(self.read())
        return StoredMatrix(self.shape, (found.data, found.indices, found.indptr), type(found))

    def read(self) -> Any:
        """Read all of it."""
        values, *where = (native(part[()]) for part in self.parts)
        return values if self.kind is None else self.kind((_wide(values), *where), shape=self.shape)

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Read some rows of a dense or CSR matrix; read here, for scipy refuses float16."""
        if self.kind is None:
            return as_csr(native(self.parts[0][start:stop]))
        data, indices, ends = self.parts
        indptr = native(ends[start : min(stop, self.shape[0]) + 1])
        some = slice(indptr[0], indptr[-1])
        shape = (len(indptr) - 1, self.shape[1])
        try:
            found = sparse.csr_matrix(
                (_wide(native(data[some])), native(indices[some]), indptr - indptr[0]),
                shape=shape,
            )
        except ValueError as error:
            raise InvalidRequest(
                "invalid_matrix",
                f"rows {start} to {stop} of the file cannot be read: {error}. Write it anew.",
            ) from error
        return as_csr(found)


def _matrices(path: Path, file: h5py.File) -> dict[str, Sample]:
    """Find all matrices of a file, unread; those that are none are left out."""
    layers = [CountsPlace(layer=name) for name in file.get("layers", ())]
    found: dict[str, Sample] = {}
    for place in (*layers, CountsPlace(raw=True), _X):
        with suppress(InvalidRequest, LookupError, ValueError, TypeError):
            found[place.path] = partial(_some_values, path, StoredMatrix.find(path, file, place))
    return found


def _some_values(path: Path, matrix: StoredMatrix) -> NDArray[Any]:
    check_chunks(path, *matrix.parts)
    dense = matrix.kind is None
    return np.asarray(native(matrix.parts[0][: JUDGED_ROWS if dense else JUDGED_VALUES]))


def _wide(values: Any) -> Any:
    """Make float32 of float16, for which scipy has no sparse matrix."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _check_bytes(matrix: StoredMatrix) -> None:
    n_bytes = sum(map(bytes_to_read, matrix.parts))
    if n_bytes > MAX_BODY_BYTES:
        raise LimitExceeded(
            "file_too_large",
            f"X of the file has {n_bytes:,} bytes when it is read; {MAX_BODY_BYTES:,} are "
            "allowed. Write the cells into several files.",
        )


def _index(path: Path, file: h5py.File, which: str, *attributes: str) -> Any:
    """Find the index of ``var`` or ``obs``, unread; their other columns stay where they are."""
    table: Any = file.get(which)
    if table is None or not {"_index", *attributes} <= set(table.attrs):
        raise _not_anndata(path, f"its {which} has no index (anndata before 0.7 wrote none)")
    return table[table.attrs["_index"]]


def _bounded(stored: Any, name: str) -> Any:
    """Read a column of obs or var, or its index; its parts are of bounded size."""
    parts = [*stored.values()] if hasattr(stored, "values") else [stored]
    if "categories" in stored.attrs:  # anndata 0.7 wrote categories beside the columns
        parts.append(stored.file[stored.attrs["categories"]])
    for part in parts:
        check_column(part, name)
    if "categories" in stored.attrs:
        return read_elem(stored.parent)[name]
    return pd.Series(read_elem(stored)).astype(object)


def _not_anndata(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        "not_anndata",
        f"{path.name} is no AnnData file with a matrix: {why}. Write it with adata.write_h5ad, "
        "counts in X and gene symbols as var_names.",
    )
