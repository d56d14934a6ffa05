"""Cells of an AnnData that is open already."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import Cells
from .counts_place import CountsPlace
from .labels import labels
from .matrix import as_csr

if TYPE_CHECKING:
    from anndata import AnnData


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
