"""Do values look imputed or smoothed? Then the model never saw their like.

scGPT takes the non-zero genes of a cell as its tokens. Imputation (MAGIC, scVI's denoised values,
kNN smoothing) makes every gene non-zero, so that which genes a cell expresses is lost, and nothing
in an embedding would tell. Counts are told from such values by their ties: whatever they were
normalised by, genes with one count share one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..errors import InvalidRequest
from .cells import Cells

LEAST_GENES = 200  # columns; fewer may well all be expressed
JUDGED = 2048  # cells; more would cost a file of millions a second reading
_SHARE = 0.8  # of the columns that hold a fraction of their own


def check_not_imputed(sent: Sequence[Cells]) -> None:
    """Refuse a request of which a row looks imputed (see ``check_data_set``).

    Parameters
    ----------
    sent
        The rows of a request, checked (``check_cells``), each with all genes that were measured.

    Raises
    ------
    InvalidRequest
        ``imputed_values``.
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
        ``imputed_values``.
    """
    odd = judged = n_genes = 0
    for counts in pieces:
        filled = np.flatnonzero(np.diff(counts.indptr))[: JUDGED - judged]
        n_genes, judged = counts.shape[1], judged + len(filled)
        odd += int(looks_imputed(counts[filled]).sum())
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


def looks_imputed(counts: sparse.csr_matrix) -> NDArray[np.bool_]:
    """Cells in which 4 of 5 genes hold a fraction that no other gene does: bool ``[cells]``."""
    least = _SHARE * counts.shape[1]
    found = np.diff(counts.indptr) >= least
    for i in np.flatnonzero(found):  # of measured cells, hardly any gets here
        values = counts.data[counts.indptr[i] : counts.indptr[i + 1]]
        found[i] = len(np.unique(values[values != np.floor(values)])) >= least
    return found
