"""The kernel between cells, summed up by data set in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .samples import Floats
from .sides import FEWEST_ALIKE, Sides

_ROWS = 1024  # of the kernel at a time

Gram = tuple[Floats, NDArray[np.bool_]]
"""Products of the means of data sets, and which data sets have one."""


def kernel_grams(sides: Sides) -> list[Gram]:
    """Return the mean kernel between data sets, in each neighbourhood; empty without embeddings."""
    if sides.new.embeddings is None or sides.old.embeddings is None:
        return []
    vectors = (sides.old.embeddings, sides.new.embeddings)
    kinds, gamma = len(sides.reference.centres), sides.reference.gamma
    return [_kernel_means(sides, vectors, place, gamma) for place in range(kinds)]


def _kernel_means(
    sides: Sides,
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    place: int,
    gamma: float,
) -> Gram:
    """Return the mean kernel between data sets, of their cells in one neighbourhood."""
    old = len(sides.old.data_set)
    chosen = np.flatnonzero(sides.places == place)
    first, second = chosen[chosen < old], chosen[chosen >= old] - old
    # Sorted by data set, so that sums over each are sums over slices.
    first = first[np.argsort(sides.old.data_set[first], kind="stable")]
    second = second[np.argsort(sides.new.data_set[second], kind="stable")]
    cells = np.concatenate([vectors[0][first], vectors[1][second]])
    of = np.concatenate(
        [sides.old.data_set[first], sides.new.data_set[second] + len(sides.old.names)]
    )
    times = np.bincount(of, minlength=sides.count)
    sums = kernel_sums(cells, of, sides.count, gamma)
    pairs = np.maximum(np.outer(times, times), 1)
    return sums / pairs, times >= FEWEST_ALIKE


def kernel_sums(
    cells: NDArray[np.float32], of: NDArray[np.int64], groups: int, gamma: float
) -> Floats:
    """Return the kernel between cells, summed up by group: float64 ``[groups, groups]``.

    Parameters
    ----------
    cells
        ``[cells, dim]``, sorted by group.
    of
        Group of each cell, rising.
    """
    found = np.zeros((groups, groups))
    if not len(cells):
        return found
    present, starts = np.unique(of, return_index=True)
    lengths = (cells**2).sum(axis=1)
    by_row = np.empty((len(cells), len(present)), np.float32)
    for start in range(0, len(cells), _ROWS):
        rows = slice(start, start + _ROWS)
        kernel = cells[rows] @ cells.T
        kernel *= 2 * gamma
        kernel -= gamma * lengths[rows, None]
        kernel -= gamma * lengths
        np.minimum(kernel, 0, out=kernel)
        np.exp(kernel, out=kernel)
        by_row[rows] = np.add.reduceat(kernel, starts, axis=1)
    found[np.ix_(present, present)] = np.add.reduceat(by_row.astype(np.float64), starts, axis=0)
    return found
