"""The three causes: what each compares, and when it is an alarm."""

from __future__ import annotations

import math

import numpy as np

from .findings import (
    COMPOSITION,
    EMBEDDING,
    INPUT,
    LEAST,
    LOST,
    MIXTURE,
    MOVED,
    NORMALISED,
    SIZE,
    UNKNOWN,
    Finding,
)
from .kernel import Gram
from .permutations import Deal
from .sides import Sides, difference, median, weighted


def compare_input(sides: Sides, deal: Deal, threshold: float) -> Finding:
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
    sides: Sides, deal: Deal, figure: str, name: str
) -> tuple[str, float | None, float]:
    values = sides.both(figure)
    there = np.isfinite(values)
    found = np.where(there, values, 0)
    p_value = deal.p_value(deal.distances(np.outer(found, found), there))
    effect = difference(found, there, len(sides.old.names))
    return name, p_value, -effect if name == NORMALISED else effect


def _of_cells(sides: Sides, deal: Deal, figure: str, name: str) -> tuple[str, float | None, float]:
    means, there = sides.within(sides.both(figure))
    weights = sides.cells.sum(axis=0)
    distances = [
        deal.distances(np.outer(means[:, k], means[:, k]), there[:, k])
        for k in range(means.shape[1])
    ]
    effects = np.array(
        [difference(means[:, k], there[:, k], len(sides.old.names)) for k in range(len(distances))]
    )
    fine = np.isfinite(effects)
    effect = float(np.average(effects[fine], weights=weights[fine])) if fine.any() else 0.0
    # Cells that another model puts elsewhere change each neighbourhood, and not all cells together.
    whole = sides.mean(sides.both(figure))
    overall = difference(whole, np.isfinite(whole), len(sides.old.names))
    effect = min(effect, overall, key=abs) if effect * overall > 0 else 0.0
    p_value = deal.p_value(weighted(np.array(distances), weights))
    return name, p_value, -effect if name == UNKNOWN else effect


def compare_composition(sides: Sides, deal: Deal, threshold: float) -> Finding:
    if sides.new.embeddings is None or sides.old.embeddings is None:
        return Finding(COMPOSITION, threshold=threshold, note=_NO_EMBEDDINGS)
    if sides.strayed:
        return Finding(COMPOSITION, threshold=threshold, note=_STRAYED)
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


_STRAYED = "most cells are in no neighbourhood of the reference: the embeddings moved"


def compare_embedding(sides: Sides, grams: list[Gram], deal: Deal, threshold: float) -> Finding:
    """Compare the mean embeddings of data sets by MMD, within neighbourhoods.

    The effect is that of the neighbourhood in the middle: a changed model moves them all, a kind of
    cells that was never there moves the one where it lands.
    """
    if not grams:
        return Finding(EMBEDDING, threshold=threshold, note=_NO_EMBEDDINGS)
    weights = sides.cells.sum(axis=0)
    distances = np.array([deal.distances(*gram) for gram in grams])
    p_value = deal.p_value(weighted(distances, weights))
    if p_value is None:
        note = "no neighbourhood has cells of both sides: composition says where the cells went"
        return Finding(EMBEDDING, threshold=threshold, note=note)
    spread = sides.reference.spread
    effect = math.sqrt(max(median(distances[:, 0], weights), 0) / spread)
    alarm = p_value <= threshold and effect >= LEAST[MOVED]
    return Finding(EMBEDDING, MOVED if alarm else "", alarm, p_value, effect, threshold)
