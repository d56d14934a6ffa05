"""Do values look imputed, smoothed or scaled? Then the model never saw their like.

scGPT takes the non-zero genes of a cell as its tokens. Imputation (MAGIC, scVI's denoised values,
kNN smoothing) makes every gene non-zero, so that which genes a cell expresses is lost, and nothing
in an embedding would tell. Counts are told from such values by their ties: whatever they were
normalised by, genes with one count share one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest
from .cells import Cells, Rows

LEAST_GENES = 200  # columns; fewer may well all be expressed
JUDGED = 2048  # cells; more would cost a file of millions a second reading
_SHARE = 0.8  # of the columns that hold a fraction of their own

# Scaling. Over the cells that were scaled, deviations are 1. In a part of them they are near 1, or
# values fall with how often a gene is seen, which those of no measured cells do. Chosen on 700 PBMC
# cells and Poisson counts, tried on others: tests/unit/model/cells/test_scaled.py.
LEAST_SCALED = 3
LEAST_CELLS = 10  # of a part
_ALL = 0.9  # of the genes; scanpy may have cut the largest values
_OFTEN, _LEAST_OFTEN = 0.25, 20  # genes in so many of the cells, and how many such genes
_NEAR_ONE = 0.15  # median distance of their deviation from 1, as a logarithm
_FALLS = -0.2  # correlation of a gene's mean value where it is seen, and how often: as logarithms
_DISTINCT = 0.95  # of a cell's values
_EXACT, _TOO_SMALL = 1e-3, 1e-6  # of float32


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


def check_data_set(pieces: Iterable[Rows]) -> None:
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
        ``imputed_values``; ``scaled_values``: from ``LEAST_SCALED`` cells on where all that were
        scaled are sent, from ``LEAST_CELLS`` on where a part of them is.
    """
    odd = judged = n_genes = 0
    seen: list[_Judged] = []
    for counts in pieces:
        filled = np.flatnonzero(np.diff(counts.indptr))[: JUDGED - judged]
        n_genes, judged = counts.shape[1], judged + len(filled)
        odd += int(looks_imputed(counts, filled).sum())
        seen.append(_Judged.of(counts, filled))
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
    if judged >= LEAST_SCALED and n_genes >= LEAST_GENES:
        _refuse_scaled(judged, sum(seen[1:], seen[0]))


@dataclass(frozen=True)
class _Judged:
    """Sums over some cells: of each gene, cells with it, values and their squares; of each cell,
    the share of its values that no other gene has.
    """

    genes: NDArray[np.float64]  # [3, genes]
    distinct: list[float]

    @classmethod
    def of(cls, counts: Rows, rows: NDArray[np.int64]) -> _Judged:
        """Add up the first rows that are not empty, which `rows` names."""
        end = counts.indptr[rows[-1] + 1] if len(rows) else 0
        values, columns = counts.data[:end].astype(np.float64), counts.indices[:end]
        genes = [
            np.bincount(columns, weights, minlength=counts.shape[1])
            for weights in (np.ones(end), values, values**2)
        ]
        spans = [(counts.indptr[row], counts.indptr[row + 1]) for row in rows]
        distinct = [len(np.unique(counts.data[a:b])) / int(b - a) for a, b in spans]
        return cls(np.stack(genes), distinct)

    def __add__(self, other: _Judged) -> _Judged:
        return _Judged(self.genes + other.genes, self.distinct + other.distinct)


def _refuse_scaled(judged: int, seen: _Judged) -> None:
    """Refuse cells whose genes were each divided by their deviation.

    Zeros stay zeros where nothing is centred, but each gene has a factor of its own, which changes
    the ranks within a cell. Lengths of genes (TPM) do too, but give no unit variance.
    """
    mean, square = seen.genes[1:] / judged
    spread = square - mean**2
    sample = spread * judged / (judged - 1)
    varies = spread > _TOO_SMALL * square
    if not varies.any():
        return
    exact = max(np.mean(np.abs(each[varies] - 1) < _EXACT) for each in (spread, sample))
    if exact >= _ALL or (judged >= LEAST_CELLS and _looks_scaled(judged, seen, sample)):
        raise InvalidRequest(
            "scaled_values",
            f"these {judged} cells look scaled to unit variance without centring (sc.pp.scale with "
            "zero_center=False): each gene has a factor of its own, the larger the rarer it is. "
            "The model ranks the genes of a cell, which such factors change; send the counts, raw "
            "or normalised (often in adata.raw or adata.layers), or set allow_imputed if these "
            "values are meant.",
        )


def _looks_scaled(judged: int, seen: _Judged, variance: NDArray[np.float64]) -> bool:
    """Judge a part of the cells that were scaled; their values all differ within a cell."""
    cells, total = seen.genes[:2]
    often = (cells >= _OFTEN * judged) & (variance > 0)
    if np.median(seen.distinct) < _DISTINCT or often.sum() < _LEAST_OFTEN:
        return False
    if np.median(np.abs(np.log(variance[often]))) / 2 <= _NEAR_ONE:
        return True
    twice = (cells >= 2) & (total > 0)  # zeros may be stored
    value, share = np.log(total[twice] / cells[twice]), np.log(cells[twice])
    varied = value.std() and share.std()
    return bool(varied and np.corrcoef(value, share)[0, 1] <= _FALLS)


def looks_imputed(counts: Rows, rows: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Cells (by default all) in which 4 of 5 genes hold a fraction that no other gene does."""
    least = _SHARE * counts.shape[1]
    rows = np.arange(counts.shape[0]) if rows is None else rows
    found = np.diff(counts.indptr)[rows] >= least
    for i in np.flatnonzero(found):  # of measured cells, hardly any gets here
        values = counts.data[counts.indptr[rows[i]] : counts.indptr[rows[i] + 1]]
        found[i] = len(np.unique(values[values != np.floor(values)])) >= least
    return found
