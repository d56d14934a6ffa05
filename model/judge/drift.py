"""Drift of later requests from a frozen reference: which cause, how large, how sure.

The unit is the data set (of one donor, say), never the cell: cells of one donor are alike, and a
test that takes each for evidence of its own alarms with every new donor. All tests ask whether the
data sets of both sides could have been dealt the other way round (permutations of data sets).

Input, composition and embedding are told apart: input and embedding are compared within
neighbourhoods of cells, so that another mixture of the same cells changes neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest

Floats = NDArray[np.float64]

FEWEST_DATA_SETS = 6
"""On either side: fewer cannot show how much data sets differ anyway."""
FEWEST_CELLS = 20
"""Cells of a data set, at least; a smaller one says too little about its mixture."""
_FEWEST_ALIKE = 5  # cells of a data set in a neighbourhood
_ROWS = 1024  # of the kernel at a time
_DRAWS = (999, 9_999, 49_999)
_CLEAR = 50  # deals that lie farther apart than the data sets came: no doubt is left

INPUT, COMPOSITION, EMBEDDING = "input", "composition", "embedding"
CAUSES = (INPUT, COMPOSITION, EMBEDDING)

NORMALISED, LOST, SIZE, UNKNOWN = (
    "counts are already normalised",
    "genes are lost",
    "library size",
    "genes are unknown",
)
MIXTURE, MOVED = "mixture of cells", "embeddings moved"

LEAST = {
    NORMALISED: 0.1,
    LOST: 0.05,
    SIZE: math.log(1.25),
    UNKNOWN: 0.05,
    MIXTURE: 0.1,
    MOVED: 0.15,
}
"""Finding -> effect below which nobody is alarmed, however sure it is.

Shares for normalised data sets, lost and unknown genes and cells of another mixture; the logarithm
of a ratio for library sizes; for embeddings, the distance over the reference's own spread.
"""


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


@dataclass(frozen=True)
class Finding:
    """The answer about one cause.

    Parameters
    ----------
    finding
        Its name, which says the direction; empty where there is none.
    alarm
        It is there, large enough, and no consequence of another cause.
    p_value, effect
        None where there is no number; ``note`` then says why.
    threshold
        p-value at which this look alarms.
    """

    cause: str
    finding: str = ""
    alarm: bool = False
    p_value: float | None = None
    effect: float | None = None
    threshold: float = 0.0
    note: str = ""


def find_drift(
    reference: Reference, new: Sample, *, alpha: float, seed: int = 0
) -> tuple[Finding, ...]:
    """Look once: one finding for each of :data:`CAUSES`.

    Parameters
    ----------
    alpha
        Chance of a false alarm that this look may take, all causes together.
    seed
        Of the permutations.
    """
    each = alpha / len(CAUSES)
    old, new = reference.sample.large(), new.large()
    if reason := _too_few(len(old.names), len(new.names), each / 4):
        return tuple(Finding(cause, threshold=each, note=reason) for cause in CAUSES)
    sides = _Sides(reference, old, new)
    grams = _kernel_grams(sides)
    for draws in _DRAWS:
        deal = _Deal.of(len(old.names), len(new.names), draws, seed)
        found = {
            INPUT: _input(sides, deal, each),
            COMPOSITION: _composition(sides, deal, each),
            EMBEDDING: _embedding(sides, grams, deal, each),
        }
        if all(one.p_value is None or one.p_value > _CLEAR / draws for one in found.values()):
            break  # more draws would tell nothing else
    return tuple(_named(found).values())


def _too_few(old: int, new: int, smallest: float) -> str:
    """Say what is lacking for a test at this threshold."""
    for side, many in (("reference", old), ("window", new)):
        if many < FEWEST_DATA_SETS:
            return (
                f"the {side} has {many} data sets of {FEWEST_CELLS} cells or more; "
                f"{FEWEST_DATA_SETS} are needed"
            )
    least = 2 / math.comb(old + new, new)
    if least > smallest:
        return (
            f"{old} and {new} data sets can give no p-value below {least:.1g}; this look alarms "
            f"below {smallest:.1g}: wait for more data sets, or look less often"
        )
    return ""


def _named(found: dict[str, Finding]) -> dict[str, Finding]:
    """Keep the cause, and say of its consequences that they may be such."""
    if found[INPUT].alarm:
        why = f"may follow from the input: {found[INPUT].finding}"
        consequences: tuple[str, ...] = (COMPOSITION, EMBEDDING)
    elif found[EMBEDDING].alarm:
        why = "neighbourhoods are told by embeddings, and these moved"
        consequences = (COMPOSITION,)
    else:
        return found
    return {
        cause: replace(each, alarm=False, note=why)
        if cause in consequences and each.alarm
        else each
        for cause, each in found.items()
    }


@dataclass(frozen=True)
class _Deal:
    """Ways to deal the data sets to both sides; the first is how they came.

    Parameters
    ----------
    new
        float32 ``[deals, data sets]``: 1 for the new side.
    """

    new: NDArray[np.float32]

    @classmethod
    def of(cls, old: int, new: int, draws: int, seed: int) -> _Deal:
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


@dataclass(frozen=True)
class _Sides:
    """Both sides together: reference first."""

    reference: Reference
    old: Sample
    new: Sample
    data_set: NDArray[np.int64] = field(init=False)
    places: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        shifted = self.new.data_set + len(self.old.names)
        object.__setattr__(self, "data_set", np.concatenate([self.old.data_set, shifted]))
        places = (
            np.zeros(len(self.data_set), np.int64)
            if self.new.embeddings is None or self.old.embeddings is None
            else np.concatenate(
                [
                    neighbourhoods(self.reference.centres, vectors)
                    for vectors in (self.old.embeddings, self.new.embeddings)
                ]
            )
        )
        object.__setattr__(self, "places", places)

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
        return means.reshape(shape), (times >= _FEWEST_ALIKE).reshape(shape)


def neighbourhoods(
    centres: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return for each cell the nearest centre: int64 ``[cells]``."""
    near = embeddings @ centres.T - (centres**2).sum(1) / 2
    return np.asarray(near.argmax(axis=1), np.int64)


# --- input ---


def _input(sides: _Sides, deal: _Deal, threshold: float) -> Finding:
    """Compare what the requests alone say; sizes and known genes within neighbourhoods."""
    found = [
        _of_data_sets(sides, deal, "whole", NORMALISED),
        _of_data_sets(sides, deal, "lost", LOST),
        _of_cells(sides, deal, "sizes", SIZE),
        _of_cells(sides, deal, "known", UNKNOWN),
    ]
    known = [each for each in found if each[1] is not None]
    if not known:
        return Finding(INPUT, threshold=threshold, note="no requests were logged")
    sure = [each for each in known if abs(each[2]) >= LEAST[each[0]]]
    name, p_value, effect = min(sure or known, key=lambda each: float(each[1] or 0))
    p_value = min(1.0, float(p_value or 0) * len(found))
    alarm = bool(sure) and p_value <= threshold
    return Finding(INPUT, name if alarm else "", alarm, p_value, effect, threshold)


def _of_data_sets(
    sides: _Sides, deal: _Deal, figure: str, name: str
) -> tuple[str, float | None, float]:
    values = sides.both(figure)
    there = np.isfinite(values)
    found = np.where(there, values, 0)
    p_value = deal.p_value(deal.distances(np.outer(found, found), there))
    effect = _difference(found, there, len(sides.old.names))
    return name, p_value, -effect if name == NORMALISED else effect


def _of_cells(
    sides: _Sides, deal: _Deal, figure: str, name: str
) -> tuple[str, float | None, float]:
    means, there = sides.within(sides.both(figure))
    weights = sides.cells.sum(axis=0)
    distances = [
        deal.distances(np.outer(means[:, k], means[:, k]), there[:, k])
        for k in range(means.shape[1])
    ]
    effects = np.array(
        [_difference(means[:, k], there[:, k], len(sides.old.names)) for k in range(len(distances))]
    )
    fine = np.isfinite(effects)
    effect = float(np.average(effects[fine], weights=weights[fine])) if fine.any() else 0.0
    p_value = deal.p_value(_weighted(np.array(distances), weights))
    return name, p_value, -effect if name == UNKNOWN else effect


def _difference(values: Floats, there: NDArray[np.bool_], old: int) -> float:
    """Return the new side's mean minus the old one's; NaN where there is none."""
    before, after = values[:old][there[:old]], values[old:][there[old:]]
    return float(after.mean() - before.mean()) if len(before) and len(after) else float("nan")


def _weighted(distances: Floats, weights: Floats) -> Floats:
    """Return the mean over neighbourhoods, of those that both sides have: ``[deals]``."""
    fine = np.isfinite(distances)
    total = (fine * weights[:, None]).sum(axis=0)
    sums = (np.where(fine, distances, 0) * weights[:, None]).sum(axis=0)
    found: Floats = np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)
    return found


# --- composition and embedding ---


def _composition(sides: _Sides, deal: _Deal, threshold: float) -> Finding:
    if sides.new.embeddings is None or sides.old.embeddings is None:
        return Finding(COMPOSITION, threshold=threshold, note=_NO_EMBEDDINGS)
    shares = sides.cells / sides.cells.sum(axis=1, keepdims=True)
    typical = shares.mean(axis=0)
    scaled = shares / np.sqrt(np.maximum(typical, 1e-9))
    there = np.ones(sides.count, bool)
    p_value = deal.p_value(deal.distances(scaled @ scaled.T, there))
    old = len(sides.old.names)
    effect = float(np.abs(shares[old:].mean(0) - shares[:old].mean(0)).sum() / 2)
    alarm = p_value is not None and p_value <= threshold and effect >= LEAST[MIXTURE]
    return Finding(COMPOSITION, MIXTURE if alarm else "", alarm, p_value, effect, threshold)


_NO_EMBEDDINGS = (
    "the log holds no embeddings: answers above 1 MiB are not logged; ask for response_format "
    "float16, or for fewer cells a request"
)


_Gram = tuple[Floats, NDArray[np.bool_]]


def _kernel_grams(sides: _Sides) -> list[_Gram]:
    """Return the mean kernel between data sets, in each neighbourhood; empty without embeddings."""
    if sides.new.embeddings is None or sides.old.embeddings is None:
        return []
    vectors = (sides.old.embeddings, sides.new.embeddings)
    kinds, gamma = len(sides.reference.centres), sides.reference.gamma
    return [_kernel_means(sides, vectors, place, gamma) for place in range(kinds)]


def _embedding(sides: _Sides, grams: list[_Gram], deal: _Deal, threshold: float) -> Finding:
    """MMD within neighbourhoods, between the mean embeddings of data sets.

    The effect is that of the neighbourhood in the middle: a changed model moves them all, a kind of
    cells that was never there moves the one where it lands.
    """
    if not grams:
        return Finding(EMBEDDING, threshold=threshold, note=_NO_EMBEDDINGS)
    weights = sides.cells.sum(axis=0)
    distances = np.array([deal.distances(*gram) for gram in grams])
    p_value = deal.p_value(_weighted(distances, weights))
    if p_value is None:
        note = "no neighbourhood has cells of both sides: composition says where the cells went"
        return Finding(EMBEDDING, threshold=threshold, note=note)
    spread = sides.reference.spread
    effect = math.sqrt(max(_median(distances[:, 0], weights), 0) / spread)
    alarm = p_value <= threshold and effect >= LEAST[MOVED]
    return Finding(EMBEDDING, MOVED if alarm else "", alarm, p_value, effect, threshold)


def _kernel_means(
    sides: _Sides,
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    place: int,
    gamma: float,
) -> _Gram:
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
    return sums / pairs, times >= _FEWEST_ALIKE


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


def _median(values: Floats, weights: Floats) -> float:
    """Return the weighted median of the values that are numbers."""
    fine = np.isfinite(values)
    order = np.argsort(values[fine])
    share = np.cumsum(weights[fine][order])
    return float(values[fine][order][np.searchsorted(share, share[-1] / 2)])


# --- the reference ---


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
