"""Do values look imputed, smoothed or scaled? Then the model never saw their like.

scGPT takes the non-zero genes of a cell as its tokens. Imputation (MAGIC, scVI's denoised values,
kNN smoothing) makes every gene non-zero, so that which genes a cell expresses is lost, and nothing
in an embedding would tell. Counts are told from such values by their ties: whatever they were
normalised by, genes with one count share one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..errors import InvalidRequest
from .cells import Cells

LEAST_GENES = 200  # columns; fewer may well all be expressed
JUDGED = 2048  # cells; more would cost a file of millions a second reading
_SHARE = 0.8  # of the columns that hold a fraction of their own

# Scaling: measured with 700 PBMC cells, the deviations of scaled values lie within 5 % of 1 in 50
# cells; those of log1p counts within 20 %, of counts by length, logged, within 30 %.
LEAST_CELLS = 20
_OFTEN, _LEAST_OFTEN = 0.25, 20  # genes in so many of the cells, and how many such genes
_NEAR_ONE = 0.15  # median distance of their deviation from 1, as a logarithm
_DISTINCT = 0.95  # of a cell's values


def check_not_imputed(sent: Sequence[Cells]) -> None:
    """Refuse a request of which a row looks imputed (see ``check_data_set``).

    Parameters
    ----------
    sent
        The rows of a request, checked (``check_cells``), each with all genes that were measured.

    Raises
    ------
    InvalidRequest
        ``imputed_values`` or ``scaled_values``.
    """
    for cells in sent:
        check_data_set([cells.counts])


def check_data_set(pieces: Iterable[sparse.csr_matrix]) -> None:
    """Refuse a data set most of whose cells look imputed, however it is cut into pieces.

    Judged are its first ``JUDGED`` cells that have counts, if they are at least two and have
    ``LEAST_GENES`` columns: a single cell may have been cut down to the genes that it expresses.

    Parameters
    ----------
    pieces
        ``[cells, genes]``, all with the same columns; no more of them are taken than are judged.

    Raises
    ------
    InvalidRequest
        ``imputed_values``; ``scaled_values``, from ``LEAST_CELLS`` cells on.
    """
    odd = judged = n_genes = 0
    seen: list[sparse.csr_matrix] = []
    for counts in pieces:
        filled = np.flatnonzero(np.diff(counts.indptr))[: JUDGED - judged]
        n_genes, judged = counts.shape[1], judged + len(filled)
        seen.append(counts[filled])
        odd += int(looks_imputed(seen[-1]).sum())
        if judged == JUDGED or n_genes < LEAST_GENES:
            break
    if judged >= 2 and n_genes >= LEAST_GENES and odd * 2 > judged:
        raise InvalidRequest(
            "imputed_values",
            f"{odd} of {judged} cells look imputed or smoothed: most of "
            f"their {n_genes} genes are above 0, each with a value of its own. The model reads "
            "which genes a cell expresses; send the measured counts, raw or normalised (often "
            "in adata.raw or adata.layers), or set allow_imputed if these values are meant.",
        )
    if judged >= LEAST_CELLS and n_genes >= LEAST_GENES:
        _refuse_scaled(sparse.vstack(seen, format="csr"))


def _refuse_scaled(counts: sparse.csr_matrix) -> None:
    """Refuse cells whose genes all have unit variance, and whose values all differ.

    Zeros stay zeros where nothing is centred, but each gene has a factor of its own, which changes
    the ranks within a cell. Lengths of genes (TPM) give distinct values too, but no unit variance.
    """
    judged = counts.shape[0]
    often = np.flatnonzero(counts.getnnz(axis=0) >= _OFTEN * judged)
    values = counts[:, often].astype(np.float64)
    mean = np.asarray(values.mean(axis=0)).ravel()
    square = np.asarray(values.multiply(values).mean(axis=0)).ravel()
    variance = (square - mean**2) * judged / (judged - 1)
    if len(often) < _LEAST_OFTEN or (variance <= 0).any():
        return
    if np.median(np.abs(np.log(variance))) / 2 > _NEAR_ONE:
        return
    shares = [
        len(np.unique(counts.data[start:stop])) / (stop - start)
        for start, stop in pairwise(counts.indptr)
    ]
    if np.median(shares) >= _DISTINCT:
        raise InvalidRequest(
            "scaled_values",
            f"these {judged} cells look scaled to unit variance without centring (sc.pp.scale with "
            "zero_center=False): every gene varies by 1, and no two genes of a cell share a value. "
            "The model ranks the genes of a cell, which such factors change; send the counts, raw "
            "or normalised (often in adata.raw or adata.layers), or set allow_imputed if these "
            "values are meant.",
        )


def looks_imputed(counts: sparse.csr_matrix) -> NDArray[np.bool_]:
    """Cells in which 4 of 5 genes hold a fraction that no other gene does: bool ``[cells]``."""
    least = _SHARE * counts.shape[1]
    found = np.diff(counts.indptr) >= least
    for i in np.flatnonzero(found):  # of measured cells, hardly any gets here
        values = counts.data[counts.indptr[i] : counts.indptr[i + 1]]
        found[i] = len(np.unique(values[values != np.floor(values)])) >= least
    return found
