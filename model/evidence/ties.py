"""Compare what is done with tied values with what upstream scGPT draws for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations

import numpy as np
from scipy import sparse

from ..judge.likeness import NEIGHBOURS, Floats, found_again, overlap, shift
from ..scgpt.embedder import Embedder
from ..scgpt.tokenizer import TIES
from .upstream.pipe import Upstream

UPSTREAM = "upstream"
"""Name of the row in which one draw of upstream stands in the place of ours."""
MEASURES = {
    "overlap": overlap,
    "found_again": found_again,
    "shift": shift,
}
FEWEST = NEIGHBOURS + 1

TiesTable = Mapping[str, Mapping[str, float]]
"""``upstream`` or a way with ties -> measure -> its mean over draws of upstream."""


def compare_ties(
    upstream: Upstream, embedder: Embedder, cells: sparse.csr_matrix, genes: list[str], draws: int
) -> TiesTable:
    """Compare each way with ties, and upstream with itself, with draws of upstream.

    Parameters
    ----------
    upstream
        It has loaded the checkpoint of ``embedder``.
    cells
        Counts of more than 15 cells.
    draws
        Two or more.

    Returns
    -------
    TiesTable
        ``overlap`` of the 15 nearest cells within each set; ``found_again``, the share of cells
        whose nearest row among upstream's is their own; ``shift`` of the mean row.
    """
    theirs = [upstream.embed(cells, genes, seed=seed) for seed in range(draws)]
    table = {UPSTREAM: _means(permutations(theirs, 2))}
    for way in TIES:
        ours = embedder.embed_cells(cells, genes, ties=way).embeddings
        table[way] = _means((ours, each) for each in theirs)
    return table


def _means(pairs: Iterable[tuple[Floats, ...]]) -> dict[str, float]:
    found = [{name: measure(a, b) for name, measure in MEASURES.items()} for a, b in pairs]
    return {name: float(np.mean([each[name] for each in found])) for name in MEASURES}
