"""From expression values to tokens: match, drop zeros, bin by rank, truncate, prepend ``<cls>``.

The only tokeniser; every way into the model goes through it. All randomness of upstream scGPT is
replaced by specified integer arithmetic, so that a cell's tokens depend on that cell alone.

Binning. Upstream puts ``n_bins - 1`` quantile edges over a cell's ``n`` non-zero values and counts
edges: with ``high`` edges ``<= x`` and ``low`` edges ``< x``, the value ``x`` becomes
``ceil(r * (low - high) + high)`` for a uniform draw ``r`` (it matters for tied values only).
Edge ``k`` sits at position ``v_k = (n - 1) * q_k`` of the sorted values, ``q = linspace(0, 1)``.
So for a tie group that fills the sorted positions ``first .. last``,
``high = #{k: v_k <= last}`` and ``low = #{k: v_k < first}``: ranks alone decide, and counts,
normalised and log1p values of a cell give the same tokens. No edge value is ever computed.

Draw. ``ties="mid"``: ``r = 0.5``. ``ties="spread"``: with ``mix`` = the finaliser of splitmix64 and
all arithmetic modulo 2**64, ``token = mix(mix(gene) + (low << 32) + high)``,
``cell = sum of token over the cell``, ``r = (mix(cell + token) >> 11) * 2**-53``.

Truncation. Of more than ``max_length - 1`` genes, those with the smallest
``mix(gene + mix(seed))`` stay. Bins are assigned before, as upstream does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..cells.cells import RowArrays, Rows

Ties = Literal["mid", "spread"]
TIES: tuple[Ties, ...] = ("mid", "spread")


@dataclass(frozen=True)
class Tokens:
    """Tokens of some cells, end to end.

    Parameters
    ----------
    indptr
        int64 ``[cells + 1]``: cell ``i`` owns ``indptr[i] .. indptr[i + 1]``.
    genes
        int64 ``[tokens]``: rows of the gene table; ``<cls>`` first, then ascending.
    values
        int64 ``[tokens]``: bins ``1 .. n_bins - 1``; ``pad_value`` for ``<cls>``.
    matched, unknown, truncated
        int64 ``[cells]``: non-zero genes found in the vocabulary, not found in it, and found but
        left out because of ``max_length``.
    """

    indptr: NDArray[np.int64]
    genes: NDArray[np.int64]
    values: NDArray[np.int64]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens per cell, ``<cls>`` included: int64 ``[cells]``."""
        return np.diff(self.indptr)

    def places(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
        """Return the places of the tokens of some cells, cell after cell, and their numbers."""
        lengths = self.lengths()[cells]
        ends = lengths.cumsum()
        places = np.arange(ends[-1]) + np.repeat(self.indptr[cells] - (ends - lengths), lengths)
        return places, [int(length) for length in lengths]


def tokenize(
    cells: Rows,
    gene_ids: NDArray[np.int64],
    *,
    cls_id: int,
    n_bins: int,
    pad_value: int,
    max_length: int,
    ties: Ties = "mid",
    seed: int = 0,
) -> Tokens:
    """Tokenise cells.

    Parameters
    ----------
    cells
        ``[cells, genes]``, finite and not negative (see ``check_values``), no stored duplicates.
    gene_ids
        int64 ``[genes]``: the vocabulary's index of each column, -1 where there is none; no index
        twice.
    cls_id, n_bins, pad_value, max_length
        Of the checkpoint; ``max_length`` counts ``<cls>``.
    ties
        ``mid`` or ``spread``: which bin a tied value takes inside its range.
    seed
        Chooses the genes that stay in a cell with more than ``max_length - 1`` of them.
    """
    n_cells = cells.shape[0]
    row = np.repeat(np.arange(n_cells), np.diff(cells.indptr))
    gene = gene_ids[cells.indices]
    value = cells.data.astype(np.float32)
    nonzero = value != 0
    known = nonzero & (gene >= 0)
    unknown = np.bincount(row[nonzero & (gene < 0)], minlength=n_cells)

    row, gene, value = row[known], gene[known], value[known]
    order = np.argsort((row << 32) | gene)  # one canonical order: columns may come in any
    row, gene, value = row[order], gene[order], value[order]
    matched = np.bincount(row, minlength=n_cells)
    low, high = _edges_around(row, value, matched, n_edges=n_bins - 1)
    draw = 0.5 if ties == "mid" else _draws(row, gene, low, high, matched)
    bins = np.ceil(draw * (low - high) + high).astype(np.int64)

    kept = _kept(row, gene, matched, max_length - 1, seed)
    lengths = np.minimum(matched, max_length - 1) + 1
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(
        indptr=indptr,
        genes=_with_cls(gene[kept], row[kept], indptr, cls_id),
        values=_with_cls(bins[kept], row[kept], indptr, pad_value),
        matched=matched,
        unknown=unknown,
        truncated=matched + 1 - lengths,
    )


def token_counts(cells: Rows, gene_ids: NDArray[np.int64], max_length: int) -> NDArray[np.int64]:
    """How many tokens ``tokenize`` will make of each cell, ``<cls>`` included: int64 ``[cells]``.

    Parameters as there; costs a look at each value, without sorting any.
    """
    known = (cells.data.astype(np.float32) != 0) & (gene_ids[cells.indices] >= 0)
    before = np.concatenate([[0], np.cumsum(known)])
    matched = np.diff(before[cells.indptr])
    return np.minimum(matched, max_length - 1) + 1


def merge_columns(cells: Rows, gene_ids: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
    """Make one column of all columns that name the same known gene, with their largest value.

    The largest, not the sum: it is the same gene in the same place whether the values are counts,
    normalised or log1p. Unknown columns stay as they are.

    Returns
    -------
    tuple
        The cells and the gene ids; the very same ones when no gene is named twice.
    """
    key = np.where(gene_ids >= 0, gene_ids, -1 - np.arange(len(gene_ids)))
    _, first, column = np.unique(key, return_index=True, return_inverse=True)
    if len(first) == len(gene_ids):
        return cells, gene_ids
    place = np.argsort(np.argsort(first))  # merged columns stand where the first of them stood
    row = np.repeat(np.arange(cells.shape[0]), np.diff(cells.indptr))
    cell = row * len(first) + place[column[cells.indices]]
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    largest = np.maximum.reduceat(cells.data[order], starts) if len(starts) else cells.data
    at = cell[order][starts]
    per_cell = np.bincount(at // len(first), minlength=cells.shape[0])
    indptr = np.concatenate([[0], np.cumsum(per_cell)])
    shape = cells.shape[0], len(first)
    return RowArrays(shape, largest, at % len(first), indptr), gene_ids[np.sort(first)]


def mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (after its increment), elementwise on uint64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _edges_around(
    row: NDArray[np.int64], value: NDArray[np.float32], matched: NDArray[np.int64], n_edges: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges below, and not above, each value: two int64 ``[tokens]``."""
    if not len(row):
        return row, row
    # Bits of positive floats sort as the floats do: one integer sort orders by cell, then value.
    key = (row << 32) | value.view(np.uint32).astype(np.int64)
    order = np.argsort(key)
    key = key[order]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    sizes = np.diff(np.append(starts, len(key)))
    group_row = row[order][starts]
    row_start = np.concatenate([[0], np.cumsum(matched)])[group_row]
    first = starts - row_start
    last = first + sizes - 1

    q = np.linspace(0, 1, n_edges)
    span = matched[group_row] - 1
    gaps = n_edges - 1
    # Exact up to the edge that falls on a whole position: there, upstream's rounding of (n-1) * q
    # decides on which side it lies, so the same product is compared.
    low = -(-gaps * first // np.maximum(span, 1))
    low = low + (span * q[low] < first)
    high = gaps * last // np.maximum(span, 1)
    high = high + (span * q[high] <= last)
    high = np.where(span == 0, n_edges, high)  # a single value: every edge equals it

    out_low, out_high = np.empty_like(row), np.empty_like(row)
    out_low[order], out_high[order] = np.repeat(low, sizes), np.repeat(high, sizes)
    return out_low, out_high


def _draws(
    row: NDArray[np.int64],
    gene: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    matched: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The draw of ``ties="spread"`` (see the module's text): float64 ``[tokens]`` in [0, 1)."""
    token = mix64(mix64(gene.astype(np.uint64)) + ((low << 32) + high).astype(np.uint64))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(token)])
    end = np.cumsum(matched)
    cell = total[end] - total[end - matched]
    return (mix64(cell[row] + token) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _kept(
    row: NDArray[np.int64],
    gene: NDArray[np.int64],
    matched: NDArray[np.int64],
    room: int,
    seed: int,
) -> NDArray[np.bool_]:
    """Choose the tokens that stay when a cell may have ``room`` of them: bool ``[tokens]``."""
    kept = np.ones(len(row), bool)
    crowded = np.flatnonzero(matched[row] > room)
    if len(crowded):
        salt = mix64(np.array([seed], np.int64).astype(np.uint64))
        priority = mix64(gene[crowded].astype(np.uint64) + salt)
        order = crowded[np.lexsort((priority, row[crowded]))]
        counts = matched[matched > room]
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept[order[rank >= room]] = False
    return kept


def _with_cls(
    tokens: NDArray[np.int64], row: NDArray[np.int64], indptr: NDArray[np.int64], cls: int
) -> NDArray[np.int64]:
    """Put the ``<cls>`` entry in front of each cell's tokens."""
    out = np.full(indptr[-1], cls, np.int64)
    out[np.arange(len(tokens)) + row + 1] = tokens
    return out
