"""Both sides of a comparison: data sets with their figures, and those that are frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidRequest

Floats = NDArray[np.float64]

FEWEST_CELLS = 20
"""Cells of a data set, at least; a smaller one says too little about its mixture."""


@dataclass(frozen=True)
class Sample:
    """Some data sets.

    Parameters
    ----------
    names
        Of the data sets.
    data_set
        int64 ``[cells]``: index into ``names``.
    sizes
        float64 ``[cells]``: logarithm of 1 + library size; NaN where it is not known.
    known
        float64 ``[cells]``: share of a cell's genes that the vocabulary knows; NaN: not known.
    embeddings
        float32 ``[cells, dim]``; None where there are none.
    whole
        float64 ``[data sets]``: share of the requests with whole numbers; NaN: not known.
    lost
        float64 ``[data sets]``: share of the reference's genes that nearly no cell expresses; NaN.
    """

    names: tuple[str, ...]
    data_set: NDArray[np.int64]
    sizes: Floats
    known: Floats
    embeddings: NDArray[np.float32] | None
    whole: Floats
    lost: Floats

    def __post_init__(self) -> None:
        if len(self.data_set) and not 0 <= self.data_set.max() < len(self.names):
            raise InvalidRequest("invalid_sample", "a cell is of no data set.")

    def large(self) -> Sample:
        """Return the data sets with :data:`FEWEST_CELLS` cells or more."""
        enough = np.bincount(self.data_set, minlength=len(self.names)) >= FEWEST_CELLS
        kept, index = enough[self.data_set], np.cumsum(enough) - 1
        return Sample(
            tuple(name for name, fine in zip(self.names, enough, strict=True) if fine),
            index[self.data_set[kept]],
            self.sizes[kept],
            self.known[kept],
            None if self.embeddings is None else self.embeddings[kept],
            self.whole[enough],
            self.lost[enough],
        )


@dataclass(frozen=True)
class Reference:
    """The frozen side.

    Parameters
    ----------
    centres
        float32 ``[neighbourhoods, dim]``.
    gamma
        Of the kernel ``exp(-gamma * squared distance)``; from the reference alone.
    spread
        1 - mean kernel between its cells.
    """

    sample: Sample
    centres: NDArray[np.float32]
    gamma: float
    spread: float


def make_reference(sample: Sample, kinds: int, *, seed: int = 0) -> Reference:
    """Freeze a sample: its neighbourhoods and its kernel.

    Raises
    ------
    InvalidRequest
        ``no_embeddings`` or ``too_few_cells``.
    """
    from sklearn.cluster import KMeans

    vectors = sample.embeddings
    if vectors is None:
        raise InvalidRequest("no_embeddings", "a reference needs embeddings.")
    if len(vectors) < FEWEST_CELLS:
        raise InvalidRequest(
            "too_few_cells",
            f"there are {len(vectors)} cells; a reference takes {FEWEST_CELLS} or more.",
        )
    found = KMeans(min(kinds, len(vectors)), n_init=4, random_state=seed).fit(vectors)
    some = vectors[np.random.default_rng(seed).permutation(len(vectors))[:1000]].astype(np.float64)
    lengths = (some**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * some @ some.T, 0)
    apart = squares[np.triu_indices(len(some), 1)]
    gamma = 1 / max(float(np.median(apart)), 1e-12)
    spread = max(1 - float(np.exp(-gamma * apart).mean()), 1e-9)
    return Reference(sample, found.cluster_centers_.astype(np.float32), gamma, spread)


def neighbourhoods(
    centres: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> tuple[NDArray[np.int64], Floats]:
    """Return for each cell the nearest centre, and the squared distance to it: both ``[cells]``."""
    near = embeddings @ centres.T - (centres**2).sum(1) / 2
    apart = (embeddings**2).sum(axis=1) - 2 * near.max(axis=1)
    return np.asarray(near.argmax(axis=1), np.int64), np.asarray(apart, np.float64)
