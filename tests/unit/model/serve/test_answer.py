"""Rows of one request go through the network together, and are answered each for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse

from scgpt_databricks.model import contract
from scgpt_databricks.model.errors import LimitExceeded
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.scgpt.tokenizer import Tokens
from scgpt_databricks.model.serve.answer import answer
from scgpt_databricks.model.wire.codec import encode_cells
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(40, 70, seed=5))
OBS = {"type": ["B", "T", "T", "B"] * 10}
TASKS = {
    "cells": {"task": contract.CELL_EMBEDDINGS},
    "genes in context": {"task": contract.GENES_IN_CONTEXT},
    "groups": {"task": contract.GENES_IN_CONTEXT, "group_by": "type"},
}


def packed(sizes: Sequence[int], seed: int = 0) -> pd.DataFrame:
    """Rows of so many cells each; each row has other genes, in another order, some unknown."""
    rng = np.random.default_rng(seed)
    rows, start = [], 0
    for i, size in enumerate(sizes):
        columns = rng.permutation(70)[: 50 + i % 20]
        genes = [GENES[c] if c % 7 else f"UNKNOWN{c}" for c in columns]
        some = slice(start, start + size)
        obs = {name: labels[some] for name, labels in OBS.items()}
        rows.append(encode_cells(COUNTS[some][:, columns], genes, None, obs))
        start += size
    return pd.DataFrame({contract.PACKED: rows})


def flat(line: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Return what must be equal, and the numbers."""
    found: dict[str, Any] = dict(line)
    vectors = found.pop("embedding", None)
    if vectors is None:
        by_gene = found.pop("gene_sums", None) or found.pop("gene_embeddings")
        found["symbols"], vectors = list(by_gene), list(by_gene.values())
    return found, np.array(vectors)


@pytest.mark.parametrize("task", TASKS)
def test_each_row_is_answered_as_if_it_were_alone(embedder: Embedder, task: str) -> None:
    engine, rows = ScgptEngine(embedder), packed([1, 1, 4, 1, 12, 2, 1])
    together = answer(engine, rows, TASKS[task]).to_dict("records")
    alone = [
        {**line, "input_row": i}
        for i in range(len(rows))
        for line in answer(engine, rows.iloc[[i]], TASKS[task]).to_dict("records")
    ]
    assert len(together) == len(alone)
    for one, other in zip(together, alone, strict=True):
        (said, vectors), (wanted, numbers) = flat(one), flat(other)
        assert said == wanted
        np.testing.assert_allclose(vectors, numbers, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_one_cell_need_no_more_batches_than_one_row(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    batches: list[int] = []
    straight = Embedder._at

    def counted(self: Embedder, tokens: Tokens, places: NDArray[np.int64]) -> Any:
        batches.append(len(places))
        return straight(self, tokens, places)

    monkeypatch.setattr(Embedder, "_at", counted)
    answer(ScgptEngine(embedder), packed([1] * 40), TASKS[task])
    assert len(batches) == 1  # all tokens of the request fit a batch


def test_a_row_has_a_limit_of_its_own(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, most = ScgptEngine(embedder), int(np.diff(COUNTS.indptr).max())
    monkeypatch.setattr(contract, "MAX_JSON_GENES", most)
    assert len(answer(engine, packed([1] * 10), TASKS["genes in context"])) == 10
    with pytest.raises(LimitExceeded, match="gene vectors do not fit"):
        answer(engine, packed([1, 1, 8]), TASKS["genes in context"])
