"""Cells of an AnnData that is open already."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .cells import Cells
from .counts_place import CountsPlace
from .find_counts import JUDGED_ROWS, Sample
from .labels import labels
from .matrix import as_csr

if TYPE_CHECKING:
    from anndata import AnnData


class AnnDataCells:
    """The matrix of an AnnData, some cells at a time; one that is backed stays in its file.

    Attributes
    ----------
    path_used
        Of the matrix: ``X``, ``raw/X``, ``layers/NAME``.
    matrices
        All that there are, by path.
    gene_columns
        Its columns, by the genes that they count.
    """

    def __init__(self, adata: AnnData, place: CountsPlace | None = None) -> None:
        self.matrices = _matrices(adata)
        place = (place or CountsPlace()).found(self.matrices)
        self.path_used = place.path
        values: Any = place.of(adata).X
        var = (adata.raw if place.raw else adata).var
        index = [str(gene) for gene in var.index]
        self.gene_columns = place.columns(index, var, lambda name: var[name].astype(object))
        self._matrix: Any = as_csr(values) if sparse.issparse(values) else values
        self._ids = adata.obs_names
        self.n_cells = adata.n_obs
        self.genes = self.gene_columns.names

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Read some cells: ``[at most stop - start, genes]``."""
        return self.gene_columns.count(as_csr(self._matrix[start:stop]))

    def names(self, start: int, stop: int) -> list[str]:
        """Return the names of some cells."""
        return [str(name) for name in self._ids[start:stop]]


def _matrices(adata: AnnData) -> dict[str, Sample]:
    """Return how to read some values of each matrix; a view copies what is asked of it."""
    # One that is backed has no view of a view.
    some = adata if adata.is_view else adata[:JUDGED_ROWS]
    read: dict[str, Callable[[], Any]] = {
        f"layers/{name}": partial(some.layers.__getitem__, name) for name in adata.layers if name
    }
    if adata.raw is not None:
        read["raw/X"] = lambda: some.raw.X
    if adata.X is not None:
        read["X"] = lambda: some.X
    return {path: partial(_values, get) for path, get in read.items()}


def _values(get: Callable[[], Any]) -> NDArray[Any]:
    return np.asarray(as_csr(get()[:JUDGED_ROWS]).data)


def cells_of_anndata(adata: AnnData, columns: Collection[str] | None = None) -> Cells:
    """Take ``X``, gene names, cell names and the given columns of obs (None: all) as labels.

    The ``X`` of a backed AnnData is read into memory.
    """
    values: Any = adata.X
    if values is None:
        raise CountsPlace().missing("the AnnData", adata.layers)
    if hasattr(values, "to_memory"):  # sparse in a file
        values = values.to_memory()
    wanted = adata.obs.columns if columns is None else [c for c in columns if c in adata.obs]
    obs = {str(name): labels(adata.obs[name].astype(object)) for name in wanted}
    return Cells(
        as_csr(values).astype(np.float32),
        [str(gene) for gene in adata.var_names],
        [str(cell) for cell in adata.obs_names],
        obs,
    )
