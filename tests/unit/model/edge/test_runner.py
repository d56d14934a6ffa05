"""How the runner of a package cuts cells into batches. What it computes is an acceptance test."""

from __future__ import annotations

import numpy as np

from scgpt_databricks.model.edge.runner import TOKENS_PER_BATCH, batches


def test_usual_cells_go_one_at_a_time_and_short_ones_together() -> None:
    lengths = np.random.default_rng(0).permutation([1, 1, 2, 30, 40, 60, 129, 240, 368, 1200])
    found = list(batches(lengths))
    assert sorted(np.concatenate(found).tolist()) == list(range(10))  # each once
    assert [lengths[some].tolist() for some in found] == [
        [1200], [368], [240], [129], [60, 40, 30, 2], [1, 1]
    ]  # fmt: skip
    for some in found:
        assert len(some) == 1 or lengths[some].max() * len(some) <= TOKENS_PER_BATCH
