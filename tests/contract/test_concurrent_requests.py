"""Requests at the same time share one model, and each gets the answer that it gets alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from mlflow.pyfunc import PyFuncModel
from scipy import sparse

from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import decode_embeddings, encode_cells
from scgpt_databricks.model.wire.genes_in_context import decode_genes_in_context
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts

SIZES = (1, 30, 7, 60, 2, 15)


def ask(server: Server, seed: int) -> dict[str, Any]:
    """Odd seeds ask for cells, even ones for genes in context; no two requests are alike."""
    counts = sparse.csr_matrix(make_counts(SIZES[seed % len(SIZES)], 80, seed=seed))
    task = "cell_embeddings" if seed % 2 else "contextual_gene_embeddings"
    body = {
        "dataframe_split": {"columns": ["packed"], "data": [[encode_cells(counts, GENES[:80])]]},
        "params": {"task": task, "response_format": "float32"},
    }
    answer = server.post("/invocations", json=body)
    assert answer.status_code == 200, answer.text
    (line,) = answer.json()["predictions"]
    return line


def vectors(seed: int, line: dict[str, Any]) -> np.ndarray:
    if seed % 2:
        return decode_embeddings(line["packed"]).embeddings
    return np.asarray(decode_genes_in_context(line["packed"]).sums)


def test_requests_at_the_same_time_do_not_disturb_each_other(
    server: Server, loaded: PyFuncModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(24)
    alone = [ask(server, seed) for seed in seeds]
    engine = loaded.unwrap_python_model().engine
    monkeypatch.setattr(Embedder, "load", lambda *_, **__: pytest.fail("a second model"))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: ask(server, seed), seeds))
    assert loaded.unwrap_python_model().engine is engine
    for seed, one, other in zip(seeds, alone, together, strict=True):
        np.testing.assert_allclose(vectors(seed, other), vectors(seed, one), atol=1e-6)
        assert other["model_digest"] == one["model_digest"] == engine.embedder.digest
