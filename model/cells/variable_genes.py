"""Highly variable genes, by scanpy; its compiled code is kept from values that end the process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..errors import InvalidRequest

# seurat_v3 fits a local quadratic curve (loess, span 0.3) through the genes that vary in a batch.
# With three of them or fewer the compiled code brings the process down, with none it ends it; up
# to 13 it raises, and at 14 and 15 it depends on the values.
_LEAST_VARYING = 15
_NO_VARIANCE = 1e-9  # of the mean square: below lies what rounding makes of equal values
_BATCH = "batch"


def variable_genes(
    counts: sparse.csr_matrix, wanted: int, flavor: str, batches: Sequence[Any] | None = None
) -> NDArray[np.bool_]:
    """Find highly variable genes.

    Parameters
    ----------
    counts
        ``[cells, genes]``; left as they are.
    wanted
        Number of genes.
    flavor
        ``seurat_v3`` (for counts), ``cell_ranger`` or ``seurat`` (for log1p values).
    batches
        One label per cell: genes are to vary within batches.

    Returns
    -------
    numpy.ndarray
        bool ``[genes]``.

    Raises
    ------
    InvalidRequest
        ``hvg_failed``.
    ImportError
        scanpy, or scikit-misc, which only ``seurat_v3`` needs, is not installed.
    """
    import scanpy
    from anndata import AnnData

    data = AnnData(counts.copy())
    labels = [str(label) for label in batches or [None] * counts.shape[0]]
    if batches is not None:
        data.obs[_BATCH] = labels
        data.obs[_BATCH] = data.obs[_BATCH].astype("category")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if flavor == "seurat_v3":
                import_module("skmisc.loess")
                _check_varying(counts, np.array(labels, dtype=object))
            scanpy.pp.highly_variable_genes(
                data,
                n_top_genes=wanted,
                flavor=cast("Any", flavor),
                batch_key=None if batches is None else _BATCH,
            )
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:80]
        why = f"too few cells or genes, or values too much alike (scanpy says: {said})"
        raise _not_found(counts, flavor, why) from error
    return np.asarray(data.var["highly_variable"], dtype=bool)


def _check_varying(counts: sparse.csr_matrix, labels: NDArray[Any]) -> None:
    """Refuse what the compiled code behind seurat_v3 does not survive."""
    for label in np.unique(labels):
        batch = counts[labels == label].astype(np.float64)
        mean_square = np.asarray(batch.multiply(batch).mean(axis=0)).ravel()
        variance = mean_square - np.asarray(batch.mean(axis=0)).ravel() ** 2
        varying = int((variance > _NO_VARIANCE * mean_square).sum())
        if varying < _LEAST_VARYING:
            where = "among them" if len(set(labels)) == 1 else f"among those of batch {label!r}"
            raise _not_found(
                counts,
                "seurat_v3",
                f"{varying} genes vary {where} ({batch.shape[0]} cells), where at least "
                f"{_LEAST_VARYING} must",
            )


def _not_found(counts: sparse.csr_matrix, flavor: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        "hvg_failed",
        f"highly variable genes ({flavor}) cannot be found in these {counts.shape[0]} cells x "
        f"{counts.shape[1]} genes: {reason}. Send more cells, another hvg_flavor, or take "
        "all genes: n_top_genes (of a request, subset_hvg) is 0 then.",
    )
