"""Few cells, other genes, impossible values: answered or refused, never 500, never NaN."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.wire.codec import encode_cells
from tests.contract.asking import CELLS, COUNTS, GOOD, SOME, code_of, send
from tests.contract.conftest import Server


@pytest.mark.parametrize("cells", [1, 3])
def test_one_cell_one_gene_and_an_empty_cell(server: Server, cells: int) -> None:
    counts = sparse.csr_matrix(np.eye(cells, 1, dtype=np.float32))
    answer = send(server, guide_frame(counts, ["G4"]).iloc[0].to_dict(), CELLS)
    rows = answer.json()["predictions"]
    assert [row["matched_genes"] for row in rows] == [1, 0, 0][:cells]
    assert np.linalg.norm(rows[0]["embedding"]) == pytest.approx(1)
    assert all(not any(row["embedding"]) for row in rows[1:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([*GOOD, "packed"]),
    value=json_values,
    params=st.dictionaries(
        st.sampled_from(["task", "genes", "seed", "subset_hvg", "max_length", "log1p"]),
        json_values,
        max_size=2,
    ),
)
def test_no_value_in_any_column_or_param_breaks_the_server(
    server: Server, name: str, value: Any, params: dict[str, Any]
) -> None:
    answer = send(server, {**GOOD, name: value}, params)
    assert answer.status_code in (200, 400)
    json.loads(
        answer.text, parse_constant=lambda constant: pytest.fail(f"{constant} in the answer")
    )


def named(genes: list[str], ids: list[str] | None = None) -> dict[str, Any]:
    obs = pd.DataFrame(index=ids or list(map(str, range(4))))
    return {
        "adata_sparsematrix": COUNTS.toarray().tolist(),
        "adata_obs": obs.to_json(orient="split"),
        "adata_var": pd.DataFrame(index=genes).to_json(orient="split"),
    }


@pytest.mark.parametrize(
    ("genes", "ids", "words"),
    [
        ([f"Cd{i}a" for i in range(10)], None, "mouse"),
        ([f"ENSG{i:011}" for i in range(10)], None, "Ensembl"),
        ([f"c{i}" for i in range(10)], SOME[:4], "transposed"),
        ([*SOME[:1], *(f"Cd{i}a" for i in range(9))], None, "mouse"),
    ],
)
@pytest.mark.parametrize("params", [CELLS, {}])
def test_other_genes_are_refused_with_the_likely_cause(
    server: Server, genes: list[str], ids: list[str] | None, words: str, params: dict[str, Any]
) -> None:
    answer = send(server, named(genes, ids), params)
    assert code_of(answer) in ("no_known_gene", "too_few_known_genes")
    assert words in answer.json()["message"]


def test_the_threshold_of_known_counts_is_a_param(server: Server) -> None:
    few = named([*SOME[:1], *(f"X{i}" for i in range(9))])
    assert code_of(send(server, few, CELLS)) == "too_few_known_genes"
    assert send(server, few, {**CELLS, "min_known_fraction": 0.01}).status_code == 200
    assert code_of(send(server, few, {"min_known_fraction": 1.5})) == "invalid_param"
    none = named([f"X{i}" for i in range(10)])
    answer = send(server, none, {**CELLS, "min_known_fraction": 0.0})
    assert [row["matched_genes"] for row in answer.json()["predictions"]] == [0] * 4


@pytest.mark.parametrize("task", ["cell_embeddings", "contextual_gene_embeddings"])
def test_filters_that_leave_only_unknown_genes(server: Server, task: str) -> None:
    counts = sparse.csr_matrix(np.array([[1, 1, 1, 4, 4], [1, 1, 1, 4, 4]], np.float32))
    sent = {"packed": encode_cells(counts, ["G1", "G2", "G3", "u1", "u2"])}
    params = {"task": task, "min_known_fraction": 0.1}
    assert send(server, sent, params).status_code == 200
    answer = send(server, sent, {**params, "filter_gene_by_counts": 5})
    assert code_of(answer) == "no_known_gene"
    assert "after filter_gene_by_counts=5: 2 of 5 genes kept" in answer.json()["message"]
    off = {**params, "filter_gene_by_counts": 5, "min_known_fraction": 0.0}
    assert send(server, sent, off).status_code == 200


def test_a_request_of_empty_cells_is_answered_with_flagged_rows(server: Server) -> None:
    empty = encode_cells(sparse.csr_matrix((2, 12), dtype=np.float32), [*SOME, "X1", "X2"])
    answer = send(server, {"packed": empty}, CELLS)
    assert [row["matched_genes"] for row in answer.json()["predictions"]] == [0, 0]
