"""The guide's pipeline: the steps that change which cells and genes are answered.

``normalize_total``, ``log1p`` and ``binning`` are accepted and computed nowhere here: the engine
bins by rank within a cell, so they cannot change a token. The steps below make a cell's answer
depend on the request it came in; they are off unless asked for, and named in the answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..cells.cells import BATCH, Cells
from ..cells.variable_genes import variable_genes
from ..contract import HVG_FLAVORS, Options
from ..errors import InvalidRequest


def preprocess(cells: Cells, options: Options, *, with_hvg: bool = True) -> tuple[Cells, list[str]]:
    """Filter genes and cells as asked, in the guide's order.

    Parameters
    ----------
    cells
        Finite, non-negative values; as many symbols as columns.
    options
        ``filter_gene_by_counts``, ``filter_cell_by_counts``, ``min_counts_per_cell``,
        ``subset_hvg``, ``hvg_flavor``.
    with_hvg
        Find highly variable genes; else say that this model came without what that needs.

    Returns
    -------
    tuple
        The remaining cells, and a sentence for each step that was done.

    Raises
    ------
    InvalidRequest
        ``nothing_left``, ``hvg_not_available`` or ``hvg_failed``.
    """
    steps: list[str] = []
    if not options.need_preprocess:
        return cells, steps
    if options.filter_gene_by_counts:
        least = options.filter_gene_by_counts
        keep = _totals(cells, axis=0) >= least
        steps.append(_kept(f"filter_gene_by_counts={least}", "genes", keep))
        cells = _genes(cells, np.flatnonzero(keep))
    least_in_cell = max(options.min_counts_per_cell, 1 if options.filter_cell_by_counts else 0)
    if least_in_cell:
        keep = _totals(cells, axis=1) >= least_in_cell
        steps.append(_kept(f"min_counts_per_cell={least_in_cell:g}", "cells", keep))
        cells = _cells(cells, np.flatnonzero(keep))
    if options.subset_hvg:
        wanted, n_genes = options.subset_hvg, len(cells.genes)
        step = f"subset_hvg={wanted} ({options.flavor()})"
        if wanted >= n_genes:
            steps.append(f"{step}: all {n_genes} genes kept, there are no more")
        elif with_hvg:
            keep = _highly_variable(cells, wanted, options.flavor())
            steps.append(_kept(step, "genes", keep))
            cells = _genes(cells, np.flatnonzero(keep))
        else:
            raise _no_scanpy()
    return cells, steps


def warm_up_hvg() -> None:
    """Import what ``subset_hvg`` needs, by finding variable genes in made-up counts.

    Raises
    ------
    InvalidRequest
        ``hvg_not_available``.
    """
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 2, 60), (60, 60)).astype(np.float32)
    cells = Cells(sparse.csr_matrix(counts), [str(i) for i in range(60)])
    for flavor in HVG_FLAVORS:
        _highly_variable(cells, 10, flavor)


def _highly_variable(cells: Cells, wanted: int, flavor: str) -> NDArray[np.bool_]:
    try:
        return variable_genes(cells.counts, wanted, flavor, cells.obs.get(BATCH))
    except ImportError as error:
        if error.name == "scanpy":
            raise _no_scanpy() from None
        other = "send hvg_flavor cell_ranger or seurat (for log1p values)"
        raise _not_available(f"hvg_flavor {flavor} needs scikit-misc", other) from error


def _no_scanpy() -> InvalidRequest:
    return _not_available("subset_hvg needs scanpy", "leave subset_hvg out (or 0)")


def _not_available(need: str, instead: str) -> InvalidRequest:
    return InvalidRequest(
        "hvg_not_available",
        f"{need}, which this model came without. Choose the genes before sending, {instead}, or "
        "ask for a version that was built with it (scgpt build --with-hvg).",
    )


def _totals(cells: Cells, axis: int) -> NDArray[np.float64]:
    return np.asarray(cells.counts.sum(axis=axis, dtype=np.float64)).ravel()


def _kept(step: str, what: str, keep: NDArray[np.bool_]) -> str:
    if not keep.any():
        raise InvalidRequest(
            "nothing_left", f"{step} leaves none of the {len(keep)} {what}; lower it or drop it."
        )
    return f"{step}: {int(keep.sum())} of {len(keep)} {what} kept"


def _genes(cells: Cells, keep: NDArray[np.intp]) -> Cells:
    return replace(cells, counts=cells.counts[:, keep], genes=[cells.genes[i] for i in keep])


def _cells(cells: Cells, keep: NDArray[np.intp]) -> Cells:
    ids = cells.ids or [str(i) for i in range(cells.counts.shape[0])]
    obs = {name: [labels[i] for i in keep] for name, labels in cells.obs.items()}
    return replace(cells, counts=cells.counts[keep], ids=[ids[i] for i in keep], obs=obs)
