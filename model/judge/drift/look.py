"""One look: enough data sets, all causes, and which of them explains the others."""

from __future__ import annotations

import math
from dataclasses import replace

from .causes import compare_composition, compare_embedding, compare_input
from .findings import CAUSES, COMPOSITION, EMBEDDING, INPUT, Finding
from .kernel import kernel_grams
from .permutations import Deal
from .samples import FEWEST_CELLS, Reference, Sample
from .sides import Sides

FEWEST_DATA_SETS = 6
"""On either side: fewer cannot show how much data sets differ anyway."""
_DRAWS = (999, 9_999, 49_999)
_CLEAR = 50  # deals that lie farther apart than the data sets came: no doubt is left


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
    sides = Sides(reference, old, new)
    grams = kernel_grams(sides)
    for draws in _DRAWS:
        deal = Deal.of(len(old.names), len(new.names), draws, seed)
        found = {
            INPUT: compare_input(sides, deal, each),
            COMPOSITION: compare_composition(sides, deal, each),
            EMBEDDING: compare_embedding(sides, grams, deal, each),
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
