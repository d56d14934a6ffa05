"""Permutations of data sets: how far apart both sides lie, had they been dealt otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .samples import Floats


@dataclass(frozen=True)
class Deal:
    """Ways to deal the data sets to both sides; the first is how they came.

    Parameters
    ----------
    new
        float32 ``[deals, data sets]``: 1 for the new side.
    """

    new: NDArray[np.float32]

    @classmethod
    def of(cls, old: int, new: int, draws: int, seed: int) -> Deal:
        rng = np.random.default_rng(seed)
        labels = np.zeros((draws + 1, old + new), np.float32)
        labels[0, old:] = 1
        order = rng.random((draws, old + new)).argpartition(new - 1, axis=1)[:, :new]
        np.put_along_axis(labels[1:], order, 1, axis=1)
        return cls(labels)

    def distances(self, gram: Floats, there: NDArray[np.bool_]) -> Floats:
        """Return the squared distance between both sides' means, in every deal: ``[deals]``.

        Products of a data set with itself are left out: so few cells never look like a distance.

        Parameters
        ----------
        gram
            ``[data sets, data sets]``: products of their means.
        there
            Data sets that have a mean; NaN is returned where fewer than two are on a side.
        """
        inner = np.where(np.outer(there, there), gram, 0).astype(np.float64)
        np.fill_diagonal(inner, 0)
        new, present = self.new, there.astype(np.float32)
        old = 1 - new
        by_new, by_old = new @ inner, old @ inner
        n_new, n_old = new @ present, old @ present
        with np.errstate(divide="ignore", invalid="ignore"):
            within = (by_new * new).sum(1) / (n_new * (n_new - 1))
            within += (by_old * old).sum(1) / (n_old * (n_old - 1))
            between = (by_new * old).sum(1) / (n_new * n_old)
            found: Floats = within - 2 * between
        found[(n_new < 2) | (n_old < 2)] = np.nan
        return found

    @staticmethod
    def p_value(distances: Floats) -> float | None:
        """Return the share of the deals that lie as far apart as the first; None: no number."""
        if not np.isfinite(distances[0]):
            return None
        known = distances[np.isfinite(distances)]
        return float((known >= known[0] - 1e-12 * max(abs(known[0]), 1e-12)).mean())
