"""The guide's form: matrices of every kind, and a sentence for those that are none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.matrix import as_csr
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.wire.rows import read_rows


def read(matrix: Any) -> Cells:
    var = pd.DataFrame(index=["A", "B", "C"])
    (row,) = read_rows([{"adata_sparsematrix": matrix, "adata_var": var}])
    assert row.cells is not None
    return row.cells


VALUES = np.array([[0, 2, 0], [1.5, 0, 3]])


@pytest.mark.parametrize(
    "matrix",
    [
        VALUES.astype(np.float16),
        [sparse.csc_matrix(VALUES)],
        sparse.csr_array(VALUES),
        VALUES.tolist(),
    ],
    ids=["float16", "csc", "csr array", "lists"],
)
def test_every_kind_of_matrix_is_read(matrix: Any) -> None:
    counts = read(matrix).counts
    assert counts.dtype == np.float32
    np.testing.assert_array_equal(counts.toarray(), VALUES)


def test_entries_stored_twice_are_added_up_before_anything_is_judged() -> None:
    twice = sparse.csr_matrix((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), (1, 3))
    counts = read(twice).counts
    assert list(counts.data) == [3]
    assert list(twice.data) == [1, 2]


@pytest.mark.parametrize("form", ["array", "csr", "lists"])
def test_booleans_are_counts_of_one(form: str) -> None:
    detected = VALUES > 0
    matrix: Any = {"array": detected, "csr": [sparse.csr_matrix(detected)]}.get(form)
    counts = read(detected.tolist() if matrix is None else matrix).counts
    assert counts.dtype == np.float32
    np.testing.assert_array_equal(counts.toarray(), detected.astype(np.float32))


NAMES = ["CD3D", "NKG7", "LYZ"]


@pytest.mark.parametrize("index", [range(3), ["0", "1", "2"]], ids=["numbers", "digits"])
@pytest.mark.parametrize(
    "column",
    ["gene_name", "gene_names", "gene_symbol", "gene_symbols", "feature_name", "symbol"],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_genes_are_named_in_a_column_where_the_index_counts_them(
    index: Any, column: str, as_json: bool
) -> None:
    table = pd.DataFrame({"highly_variable": True, column: pd.Categorical(NAMES)}, index=[*index])
    var = table.to_json(orient="split") if as_json else table
    (row,) = read_rows([{"adata_sparsematrix": np.ones((2, 3)), "adata_var": var}])
    assert row.genes == NAMES


def test_an_index_of_names_stays() -> None:
    table = pd.DataFrame({"feature_name": ["x", "y", "z"]}, index=NAMES)
    (row,) = read_rows([{"adata_sparsematrix": np.ones((2, 3)), "adata_var": table}])
    assert row.genes == NAMES


def test_a_gene_without_a_name_in_its_column_is_refused() -> None:
    table = pd.DataFrame({"gene_symbols": ["x", None, "z"]})
    with pytest.raises(InvalidRequest, match="gene names must be non-empty strings"):
        read_rows([{"adata_sparsematrix": np.ones((2, 3)), "adata_var": table}])


@pytest.mark.parametrize("in_array", [False, True], ids=["lists", "array of lists"])
def test_null_in_the_matrix_is_named(in_array: bool) -> None:
    lists = json.loads("[[1, null, 2], [0, 1, 0]]")
    matrix: Any = lists
    if in_array:
        matrix = np.empty(2, dtype=object)
        matrix[:] = lists
    with pytest.raises(InvalidRequest, match="it holds null, which is no number") as refusal:
        read(matrix)
    assert refusal.value.code == "invalid_matrix"


GOOD = np.arange(9.0).reshape(3, 3) + 1
_WRONG = {
    "negative": {"indices": [0, -1, 2, 0, 1, 2, 0, 1, 2]},
    "beyond": {"indices": [0, 500, 2, 0, 1, 2, 0, 1, 2]},
    "falling": {"indptr": [0, 9, 3, 9]},
    "falling to nothing": {"indptr": [0, 9, 5, 0]},
    "before the start": {"indptr": [0, -3, 3, 9]},
    "after the end": {"indptr": [0, 3, 6, 9_999]},
    "one too few": {"indptr": [0, 3, 9]},
}


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("wrong", _WRONG)
def test_sparse_indices_that_lead_nowhere_are_refused(kind: Any, wrong: str) -> None:
    matrix = kind(GOOD)
    for name, values in _WRONG[wrong].items():
        setattr(matrix, name, np.array(values, np.int32))
    with pytest.raises(InvalidRequest, match="sparse indices are wrong") as caught:
        as_csr(matrix)
    assert caught.value.code == "invalid_matrix"


@pytest.mark.parametrize(
    ("kind", "attribute", "values"),
    [
        (sparse.coo_matrix, "row", [0, 1, 3]),
        (sparse.coo_matrix, "col", [0, -1, 2]),
        (sparse.lil_matrix, "rows", np.array([[0], [7], [2]], dtype=object)),
        (sparse.bsr_matrix, "indices", [0, 9, 2]),
    ],
)
def test_so_are_those_of_the_other_formats(kind: Any, attribute: str, values: Any) -> None:
    matrix = kind(np.eye(3))
    is_lil = attribute == "rows"
    setattr(matrix, attribute, values if is_lil else np.array(values, np.int32))
    with pytest.raises(InvalidRequest) as caught:
        as_csr(matrix)
    assert caught.value.code == "invalid_matrix"


def test_the_callers_matrix_is_left_as_it_is() -> None:
    longer = sparse.csr_matrix(GOOD)
    longer.data, longer.indices = np.arange(20.0), np.zeros(20, np.int32)
    longer.indices[:9] = [0, 1, 2] * 3
    as_csr(longer)
    assert len(longer.data) == 20
