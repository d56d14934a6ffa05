"""Whatever kind of matrix cells come in, they are the same cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.genes_in_context import embed_genes_in_context
from tests.unit.model.reference import GENES, make_counts

KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "csc": sparse.csc_matrix,
    "csc array": sparse.csc_array,
    "coo": sparse.coo_matrix,
    "lil": sparse.lil_matrix,
    "csr array": sparse.csr_array,
    "dense": lambda x: x,
    "integers": lambda x: x.astype(np.int64),
    "float16": lambda x: x.astype(np.float16),
    "columns first": np.asfortranarray,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("n_cells", [3, 20], ids=["more genes than cells", "square"])
def test_every_kind_of_matrix_gives_the_same(
    embedder: Embedder, kind: Callable[[np.ndarray], Any], n_cells: int
) -> None:
    counts, genes = np.asarray(make_counts(n_cells, 20)), GENES[:20]
    expected = embedder.embed_cells(sparse.csr_matrix(counts), genes)
    found = embedder.embed_cells(kind(counts), genes)
    np.testing.assert_array_equal(found.embeddings, expected.embeddings)
    np.testing.assert_array_equal(found.matched, expected.matched)
    tokens = embedder.tokenize(kind(counts), genes)
    np.testing.assert_array_equal(
        tokens.values, embedder.tokenize(sparse.csr_matrix(counts), genes).values
    )


def test_columns_give_the_same_genes_in_context(embedder: Embedder) -> None:
    counts = np.asarray(make_counts(20, 20))
    rows, columns = (
        embed_genes_in_context(embedder, Cells(kind(counts), GENES[:20]))
        for kind in (sparse.csr_matrix, sparse.csc_matrix)
    )
    np.testing.assert_array_equal(rows.sums, columns.sums)
    np.testing.assert_array_equal(rows.genes, columns.genes)


def test_entries_stored_twice_are_added_up_and_the_matrix_stays_as_it_was(
    embedder: Embedder,
) -> None:
    twice = sparse.csr_matrix(
        (np.array([1, 2, 5, 3], np.float32), np.array([3, 1, 3, 0]), np.array([0, 3, 4])),
        shape=(2, 20),
    )
    found = embedder.embed_cells(twice, GENES[:20])
    once = embedder.embed_cells(twice.toarray(), GENES[:20])
    np.testing.assert_array_equal(found.embeddings, once.embeddings)
    assert list(found.matched) == [2, 1]
    assert list(twice.data) == [1, 2, 5, 3]
    assert list(twice.indices) == [3, 1, 3, 0]


@pytest.mark.parametrize(
    "matrix",
    [None, [[1.0, 2.0]], np.ones(2), np.ones((1, 1, 2)), np.array([["a", "b"]], dtype=object)],
    ids=["none", "lists", "one dimension", "three dimensions", "words"],
)
def test_what_is_no_matrix_is_refused(embedder: Embedder, matrix: Any) -> None:
    with pytest.raises(InvalidRequest, match="Give cells x genes numbers") as refusal:
        embedder.embed_cells(matrix, GENES[:2])
    assert refusal.value.code == "invalid_matrix"


def test_no_gene_at_all_is_said_so(embedder: Embedder) -> None:
    with pytest.raises(InvalidRequest, match="no gene at all") as refusal:
        embedder.embed_cells(np.ones((2, 0)), [])
    assert refusal.value.code == "no_known_gene"
