"""The rows of an ``.h5ad`` as they lie in it: one matrix piece by piece, and nothing of the rest.

``anndata.read_h5ad(backed="r")`` keeps only ``X`` on disk; layers, ``obsm``, ``obsp`` and ``uns``
come into memory whole, and with them grows a process that wanted the counts.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from anndata.io import read_elem, sparse_dataset
from scipy import sparse

from ..errors import InvalidRequest
from .matrix import as_csr
from .measured import Measured

_X = Measured()


class CellsFile:
    """An ``.h5ad`` open for reading; a context manager.

    Parameters
    ----------
    path
        Of the file: its matrix is CSR or dense, the index of ``var`` are gene symbols; ``obs`` can
        receive columns.
    measured
        Which matrix.

    Attributes
    ----------
    n_cells
        Rows of the matrix.
    genes
        The index of its ``var``.
    state
        As ``state_of`` had it when the file was opened.

    Raises
    ------
    InvalidRequest
        ``not_anndata`` when there is no ``X`` or no index of ``var`` or ``obs``, ``no_matrix``
        when there is no such layer or ``raw``, ``not_by_rows`` when the matrix is CSC.
    """

    def __init__(self, path: Path, measured: Measured = _X) -> None:
        try:
            self.state = state_of(path)
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise _not_anndata(path, str(error)) from error
        try:
            self._matrix = _matrix(path, self._file, measured)
            self.genes = [str(name) for name in read_elem(_index(path, self._file, measured.var))]
            self._names = _index(path, self._file, "obs")
        except BaseException:
            self._file.close()
            raise
        self.n_cells = int(self._matrix.shape[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Some cells: ``[at most stop - start, genes]``."""
        if isinstance(self._matrix, h5py.Dataset):
            return as_csr(self._matrix[start:stop])
        group = self._matrix.group  # read here: scipy, and so anndata, refuses float16
        indptr = group["indptr"][start : min(stop, self.n_cells) + 1]
        some = slice(indptr[0], indptr[-1])
        values = group["data"][some]
        half = values.dtype == np.float16
        parts = (values.astype(np.float32) if half else values, group["indices"][some])
        shape = (len(indptr) - 1, self._matrix.shape[1])
        try:
            found = sparse.csr_matrix((*parts, indptr - indptr[0]), shape=shape)
        except ValueError as error:
            raise InvalidRequest(
                "invalid_matrix",
                f"rows {start} to {stop} of the file cannot be read: {error}. Write it anew.",
            ) from error
        return as_csr(found)

    def names(self, start: int, stop: int) -> list[str]:
        """Index of ``obs`` of some cells."""
        stored: Any = self._names  # a group where anndata wrote another kind of index than strings
        some = (stored if isinstance(stored, h5py.Dataset) else read_elem(stored))[start:stop]
        return [name.decode() if isinstance(name, bytes) else str(name) for name in some]


def state_of(path: Path) -> list[str | int]:
    """What changes where a file is written to or replaced: path, size, time (ns)."""
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def _matrix(path: Path, file: h5py.File, measured: Measured) -> Any:
    """To be sliced by rows without being read whole."""
    layers = list(file.get("layers", ()))
    is_there = measured.layer is None or measured.layer in layers
    stored = file.get(measured.path) if is_there else None
    if stored is None and measured == _X:
        raise _not_anndata(path, "it has no X")
    if stored is None:
        raise measured.missing(str(path), layers)
    if isinstance(stored, h5py.Dataset):
        return stored
    found: Any = sparse_dataset(stored)
    if found.format == "csc":
        raise InvalidRequest(
            "not_by_rows",
            f"{measured.path} is stored by columns (CSC), so every chunk would read the whole "
            "file; write it again by rows, as adata.X = adata.X.tocsr() does for X.",
        )
    return found


def _index(path: Path, file: h5py.File, which: str) -> Any:
    """The index of ``var`` or ``obs``, unread; their other columns stay where they are."""
    table: Any = file.get(which)
    if table is None or not {"_index", "column-order"} <= set(table.attrs):
        raise _not_anndata(path, f"its {which} has no index (anndata before 0.7 wrote none)")
    return table[table.attrs["_index"]]


def _not_anndata(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        "not_anndata",
        f"{path} is no AnnData file with a matrix: {why}. Write it with adata.write_h5ad, "
        "counts in X and gene symbols as var_names.",
    )
