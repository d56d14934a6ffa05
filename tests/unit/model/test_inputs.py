"""The guide's form: matrices of every kind, and a sentence for those that are none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from model.codec import Cells
from model.errors import InvalidRequest
from model.inputs import read_rows


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
