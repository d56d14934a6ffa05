"""Both sides together, cell by cell and within neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .samples import Floats, Reference, Sample, neighbourhoods

FEWEST_ALIKE = 5  # cells of a data set in a neighbourhood
_NEAR, _MOST_FAR = 0.99, 0.5


@dataclass(frozen=True)
class Sides:
    """Both sides together: reference first.

    Neighbourhoods are told by embeddings. Where most of the new cells are farther from every centre
    than the reference's are, they are in none: all cells are then compared as one neighbourhood.
    """

    reference: Reference
    old: Sample
    new: Sample
    data_set: NDArray[np.int64] = field(init=False)
    places: NDArray[np.int64] = field(init=False)
    strayed: bool = field(init=False)
    """Most of the new cells are in no neighbourhood of the reference."""

    def __post_init__(self) -> None:
        shifted = self.new.data_set + len(self.old.names)
        object.__setattr__(self, "data_set", np.concatenate([self.old.data_set, shifted]))
        places, strayed = np.zeros(len(self.data_set), np.int64), False
        if self.new.embeddings is not None and self.old.embeddings is not None:
            before, near = neighbourhoods(self.reference.centres, self.old.embeddings)
            after, far = neighbourhoods(self.reference.centres, self.new.embeddings)
            strayed = bool((far > np.quantile(near, _NEAR)).mean() > _MOST_FAR)
            places = places if strayed else np.concatenate([before, after])
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "strayed", strayed)

    @property
    def count(self) -> int:
        """Data sets of both sides."""
        return len(self.old.names) + len(self.new.names)

    @property
    def cells(self) -> Floats:
        """Cells of each data set in each neighbourhood: ``[data sets, neighbourhoods]``."""
        kinds = max(len(self.reference.centres), 1)
        flat = np.bincount(self.data_set * kinds + self.places, minlength=self.count * kinds)
        return flat.reshape(self.count, kinds).astype(np.float64)

    def both(self, name: str) -> Floats:
        """Return a figure of both sides."""
        return np.concatenate([getattr(self.old, name), getattr(self.new, name)])

    def within(self, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return a figure's mean of each data set in each neighbourhood, and where there is one."""
        fine = np.isfinite(values)
        kinds = max(len(self.reference.centres), 1)
        at = self.data_set[fine] * kinds + self.places[fine]
        sums = np.bincount(at, values[fine], minlength=self.count * kinds)
        times = np.bincount(at, minlength=self.count * kinds)
        means = np.divide(sums, times, out=np.zeros_like(sums), where=times > 0)
        shape = self.count, kinds
        return means.reshape(shape), (times >= FEWEST_ALIKE).reshape(shape)

    def mean(self, values: Floats) -> Floats:
        """Return a figure's mean of each data set; NaN where no cell has one."""
        fine = np.isfinite(values)
        sums = np.bincount(self.data_set[fine], values[fine], minlength=self.count)
        times = np.bincount(self.data_set[fine], minlength=self.count)
        found: Floats = np.divide(sums, times, out=np.full(self.count, np.nan), where=times > 0)
        return found


def difference(values: Floats, there: NDArray[np.bool_], old: int) -> float:
    """Return the new side's mean minus the old one's; NaN where there is none."""
    before, after = values[:old][there[:old]], values[old:][there[old:]]
    return float(after.mean() - before.mean()) if len(before) and len(after) else float("nan")


def weighted(distances: Floats, weights: Floats) -> Floats:
    """Return the mean over neighbourhoods, of those that both sides have: ``[deals]``."""
    fine = np.isfinite(distances)
    total = (fine * weights[:, None]).sum(axis=0)
    sums = (np.where(fine, distances, 0) * weights[:, None]).sum(axis=0)
    found: Floats = np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def median(values: Floats, weights: Floats) -> float:
    """Return the weighted median of the values that are numbers."""
    fine = np.isfinite(values)
    order = np.argsort(values[fine])
    share = np.cumsum(weights[fine][order])
    return float(values[fine][order][np.searchsorted(share, share[-1] / 2)])
