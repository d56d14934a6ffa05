"""Genes in context over MLflow's server: both forms, JSON and packed, grouped or not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.genes_in_context import embed_genes_in_context
from scgpt_databricks.model.wire.codec import encode_cells
from scgpt_databricks.model.wire.genes_in_context import decode_genes_in_context, merge
from tests.contract.asking import code_of, send
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(6, 20, seed=4))
SOME = GENES[:20]
IDS = [f"cell-{i}" for i in range(6)]
OBS = {"type": ["B", "T", "B", "T", "T", "B"], "batch": list("112212")}
CELLS = Cells(COUNTS, SOME, IDS, OBS)
TASK = {"task": "contextual_gene_embeddings"}
GROUPED = {**TASK, "group_by": "type"}

FORMS: dict[str, dict[str, Any]] = {
    "guide": {
        "adata_sparsematrix": COUNTS.toarray().tolist(),
        "adata_obs": pd.DataFrame(OBS, index=IDS).to_json(orient="split"),
        "adata_var": pd.DataFrame(index=SOME).to_json(orient="split"),
    },
    "packed": {"packed": encode_cells(COUNTS, SOME, IDS, OBS)},
}


@pytest.mark.parametrize("form", FORMS)
def test_per_cell_in_json(server: Server, embedder: Embedder, form: str) -> None:
    lines = send(server, FORMS[form], TASK).json()["predictions"]
    wanted = embed_genes_in_context(embedder, CELLS)
    assert [line["id"] for line in lines] == IDS
    for i, line in enumerate(lines):
        symbols, span = wanted.row(i)
        assert list(line["gene_embeddings"]) == symbols
        got = np.array(list(line["gene_embeddings"].values()))
        np.testing.assert_allclose(got, wanted.sums[span], atol=1e-5)
        assert line["matched_genes"] == wanted.matched[i] == len(symbols)
        assert line["model_digest"] == embedder.digest


@pytest.mark.parametrize("form", FORMS)
def test_per_group_in_json(server: Server, embedder: Embedder, form: str) -> None:
    lines = send(server, FORMS[form], GROUPED).json()["predictions"]
    wanted = embed_genes_in_context(embedder, CELLS, group_by="type")
    assert [(line["group"], line["cells"]) for line in lines] == [("B", 3), ("T", 3)]
    for i, line in enumerate(lines):
        _, span = wanted.row(i)
        got = np.array(list(line["gene_sums"].values()))
        np.testing.assert_allclose(got, wanted.sums[span], atol=1e-4)
        assert list(line["gene_counts"].values()) == wanted.counts[span].tolist()


def test_packed_answers_of_chunks_merge(server: Server, embedder: Embedder) -> None:
    parts = []
    for rows in (slice(0, 2), slice(2, 6)):
        obs = {name: labels[rows] for name, labels in OBS.items()}
        chunk = {"packed": encode_cells(COUNTS[rows], SOME, IDS[rows], obs)}
        answer = send(server, chunk, {**GROUPED, "response_format": "float32"})
        parts.append(decode_genes_in_context(answer.json()["predictions"][0]["packed"]))
    merged = merge(parts)
    wanted = merge([embed_genes_in_context(embedder, CELLS, group_by="type")])  # its order of genes
    assert merged.names == wanted.names
    np.testing.assert_array_equal(merged.counts, wanted.counts)
    np.testing.assert_allclose(merged.means(), wanted.means(), atol=1e-5)


def test_some_genes_only(server: Server) -> None:
    params = {**TASK, "genes": ["G3", "nowhere"]}
    for line in send(server, FORMS["packed"], params).json()["predictions"]:
        assert set(line["gene_embeddings"]) <= {"G3"}
        assert line["genes_not_found"] == ["nowhere"]


@pytest.mark.parametrize(
    ("code", "columns", "params"),
    [
        ("no_such_column", "guide", {**TASK, "group_by": "nothing"}),
        ("no_such_column", "packed", {**TASK, "group_by": "nothing"}),
        ("invalid_param", "guide", {"task": "cell_embeddings", "group_by": "type"}),
        ("no_known_gene", "guide", {**TASK, "genes": ["nowhere"]}),
    ],
)
def test_impossible_questions(
    server: Server, code: str, columns: str, params: dict[str, Any]
) -> None:
    assert code_of(send(server, FORMS[columns], params)) == code


def test_no_cells_and_missing_labels(server: Server) -> None:
    only_genes = {"adata_var": FORMS["guide"]["adata_var"]}
    assert code_of(send(server, only_genes, TASK)) == "no_cells"
    obs = json.dumps({"index": IDS, "columns": ["type"], "data": [[None], *[["B"]] * 5]})
    assert code_of(send(server, {**FORMS["guide"], "adata_obs": obs}, GROUPED)) == "missing_group"


def test_too_many_vectors_for_json(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scgpt_databricks.model.contract.MAX_JSON_GENES", 5)
    assert code_of(send(server, FORMS["guide"], TASK)) == "too_many_vectors"
    assert send(server, FORMS["guide"], {**TASK, "response_format": "float16"}).status_code == 200


@pytest.mark.parametrize("obs", [3, {"type": "B"}, {"type": [1]}, {"type": ["B"]}])
def test_labels_that_are_none(server: Server, obs: Any) -> None:
    from scgpt_databricks.model.wire.envelope import KIND_CELLS, pack

    header = {"cells": 2, "genes": ["G1"], "ids": None, "obs": obs}
    header |= {"gap_type": "u1", "value_type": "u1"}
    arrays = [np.array([1, 1], "<u4"), np.array([0, 0], "<u1"), np.array([1, 1], "<u1")]
    packed = pack(KIND_CELLS, header, arrays, level=1)
    assert code_of(send(server, {"packed": packed}, TASK)).startswith("packed_")
