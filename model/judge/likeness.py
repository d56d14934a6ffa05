"""Compare what two versions make of the same cells.

The same weights must give the same vectors, up to rounding; compare them in float32. Other weights
have a space of their own: two trainings differ by a rotation at least, so that cosines between them
mean nothing. What stays comparable is which cells are near each other, and whether they are of one
type.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidRequest
from .metrics import check_labels

NEIGHBOURS = 15
NEW_SPACE = "New embedding space: recompute stored embeddings and baselines."

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Limits:
    """Least likeness that passes.

    Parameters
    ----------
    cosine
        Of the least alike cell, for the same weights in the same precision.
    same_overlap
        Overlap of the 15 neighbours, for the same.
    other_overlap
        The same for other weights.
    other_agreement
        For other weights: neighbours of a cell's own type, over the champion's figure.
    """

    cosine: float = 0.99999
    same_overlap: float = 0.99
    other_overlap: float = 0.25
    other_agreement: float = 0.95


ROUNDED = Limits(cosine=0.9995, same_overlap=0.95)
"""For the same weights in different precisions. Finds no bins that are off by one (ADR 15)."""


@dataclass(frozen=True)
class Likeness:
    """How alike two embeddings of the same cells are.

    Parameters
    ----------
    passed
        Every figure reaches its limit.
    overlap
        Share of the 15 nearest cells that both have in common.
    cosine
        Of the least alike cell; None between two spaces.
    agreement
        Share of neighbours of the same type, new over old; None without labels or for the same
        weights.
    reasons
        A sentence for each figure, and what to do.
    """

    passed: bool
    overlap: float
    cosine: float | None
    agreement: float | None
    reasons: tuple[str, ...]


def compare(
    old: Floats,
    new: Floats,
    *,
    same_weights: bool,
    labels: ArrayLike | None = None,
    limits: Limits | None = None,
) -> Likeness:
    """Compare embeddings of the same cells, in the same order.

    Parameters
    ----------
    old, new
        float [cells, dim]; the dimensions may differ for other weights.
    same_weights
        Both versions name the same digest of the checkpoint.
    labels
        Type of each cell: what the neighbourhoods of other weights are judged by.

    Raises
    ------
    InvalidRequest
        ``other_cells``, or as ``metrics.check_labels``.
    """
    limits = limits or Limits()
    if len(old) != len(new) or len(old) <= NEIGHBOURS or (same_weights and old.shape != new.shape):
        raise InvalidRequest(
            "other_cells",
            f"the embeddings have shapes {old.shape} and {new.shape}; they must be of the same "
            f"cells, more than {NEIGHBOURS} of them, and of one width for the same weights.",
        )
    shared = overlap(old, new)
    if same_weights:
        cosine = float((_unit(old) * _unit(new)).sum(axis=1).min())
        return _judged(
            [
                ("cosine of the least alike cell", cosine, limits.cosine),
                ("overlap of 15 neighbours", shared, limits.same_overlap),
            ],
            Likeness(True, shared, cosine, None, ()),
        )
    figures = [("overlap of 15 neighbours", shared, limits.other_overlap)]
    agreement = None
    if labels is not None:
        types = check_labels(labels, len(old))
        agreement = neighbours_of_own_type(new, types) / neighbours_of_own_type(old, types)
        name = "neighbours of the same type, new over old"
        figures.append((name, agreement, limits.other_agreement))
    return _judged(figures, Likeness(True, shared, None, agreement, (NEW_SPACE,)))


def overlap(a: Floats, b: Floats) -> float:
    """Return the share of the 15 nearest cells (by cosine) that two embeddings have in common."""
    pairs = zip(nearest(a), nearest(b), strict=True)
    return float(np.mean([np.intersect1d(x, y).size for x, y in pairs])) / NEIGHBOURS


def found_again(a: Floats, b: Floats) -> float:
    """Return the share of cells whose row in ``a`` has their own row in ``b`` as the nearest one.

    The overlap compares cells within each set, so that a move of all cells together hides in it.
    """
    cosine = _unit(a) @ _unit(b).T
    return float((np.diag(cosine) >= cosine.max(axis=1)).mean())


def shift(a: Floats, b: Floats) -> float:
    """Return how far the mean row of ``a`` lies from that of ``b``, as a share of its length."""
    mean = b.mean(axis=0)
    return float(np.linalg.norm(a.mean(axis=0) - mean) / np.linalg.norm(mean))


def neighbours_of_own_type(x: Floats, types: NDArray[np.str_]) -> float:
    """Return the share of the 15 nearest cells that have the cell's own type."""
    return float((types[nearest(x)] == types[:, None]).mean())


def nearest(x: Floats) -> NDArray[np.int64]:
    """Return the 15 nearest other cells of each cell, by cosine: int64 [cells, 15]."""
    cosine = _unit(x) @ _unit(x).T
    np.fill_diagonal(cosine, -2)
    return np.argsort(-cosine, axis=1)[:, :NEIGHBOURS]


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def _judged(figures: list[tuple[str, float, float]], found: Likeness) -> Likeness:
    """Judge figures, each a name, a value and the least that passes."""
    reasons = tuple(
        f"{name}: {value:.5f}, at least {least:g} is needed{'' if value >= least else ': failed'}."
        for name, value, least in figures
    )
    passed = all(value >= least for _, value, least in figures)
    return replace(found, passed=passed, reasons=(*reasons, *found.reasons))
