"""The rows of an ``.h5ad`` as they lie in it: ``X`` piece by piece, and nothing of the rest.

``anndata.read_h5ad(backed="r")`` keeps only ``X`` on disk; layers, ``obsm``, ``obsp`` and ``uns``
come into memory whole, and with them grows a process that wanted the counts.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
from anndata.io import read_elem, sparse_dataset
from scipy import sparse

from model.errors import InvalidRequest


class CellsFile:
    """An ``.h5ad`` open for reading; a context manager.

    Parameters
    ----------
    path
        Of the file: ``X`` is CSR or dense, the index of ``var`` are gene symbols.

    Attributes
    ----------
    n_cells
        Rows of ``X``.
    genes
        The index of ``var``.

    Raises
    ------
    InvalidRequest
        ``not_anndata`` when there is no ``X`` or no index, ``not_by_rows`` when ``X`` is CSC.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise _not_anndata(path, str(error)) from error
        try:
            self._matrix = _matrix(path, self._file)
            self.genes = _genes(path, self._file)
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
        return sparse.csr_matrix(self._matrix[start:stop])


def _matrix(path: Path, file: h5py.File) -> Any:
    """``X``, to be sliced by rows without being read whole."""
    stored = file.get("X")
    if stored is None:
        raise _not_anndata(path, "it has no X")
    if isinstance(stored, h5py.Dataset):
        return stored
    found: Any = sparse_dataset(stored)
    if found.format == "csc":
        raise InvalidRequest(
            "not_by_rows",
            "X is stored by columns (CSC), so every chunk would read the whole file; "
            "write it again with adata.X = adata.X.tocsr().",
        )
    return found


def _genes(path: Path, file: h5py.File) -> list[str]:
    """The index of ``var``; its other columns stay where they are."""
    var: Any = file.get("var")
    if var is None or "_index" not in var.attrs:
        raise _not_anndata(path, "its var has no index (anndata before 0.7 wrote none)")
    return [str(name) for name in read_elem(var[var.attrs["_index"]])]


def _not_anndata(path: Path, why: str) -> InvalidRequest:
    return InvalidRequest(
        "not_anndata",
        f"{path} is no AnnData file with a matrix: {why}. Write it with adata.write_h5ad, "
        "counts in X and gene symbols as var_names.",
    )
