"""The packed forms, against vectors that were written from docs/wire-format.md alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.wire.codec import (
    decode_cells,
    decode_embeddings,
    encode_cells,
    encode_embeddings,
)
from scgpt_databricks.model.wire.genes_in_context import (
    decode_genes_in_context,
    encode_genes_in_context,
)

FOLDER = Path(__file__).parent / "vectors"


def vectors(name: str) -> Any:
    cases = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def check_cells(cells: Cells, case: dict[str, Any]) -> None:
    stored = [
        [[int(column), float(value)] for column, value in zip(row.indices, row.data, strict=True)]
        for row in (cells.counts[[i]] for i in range(cells.counts.shape[0]))
    ]
    assert stored == case["stored"]
    assert cells.counts.shape[1] == len(case["genes"])
    assert (cells.genes, cells.ids) == (case["genes"], case["ids"])


@vectors("cells")
def test_cells_are_read_as_written(case: dict[str, Any]) -> None:
    check_cells(decode_cells(case["packed"]), case)


@vectors("cells")
def test_cells_that_we_write_are_read_the_same(case: dict[str, Any]) -> None:
    dense = np.zeros((len(case["stored"]), len(case["genes"])))
    for i, cell in enumerate(case["stored"]):
        for column, value in cell:
            dense[i, column] = value
    packed = encode_cells(sparse.csr_matrix(dense), case["genes"], case["ids"])
    check_cells(decode_cells(packed), case)


@vectors("answers")
def test_answers_are_read_as_written(case: dict[str, Any]) -> None:
    answer = decode_embeddings(case["packed"])
    for text in (case["packed"], encode_embeddings(answer, "float32")):
        answer = decode_embeddings(text)
        assert answer.embeddings.tolist() == case["embeddings"]
        for name in ("matched", "unknown", "truncated"):
            assert getattr(answer, name).tolist() == case[name]
        assert (answer.names, answer.not_found) == (case["names"], case["not_found"])
        assert answer.digest == case["digest"]


@vectors("genes_in_context")
def test_genes_in_context_are_read_as_written(case: dict[str, Any]) -> None:
    answer = decode_genes_in_context(case["packed"])
    for text in (case["packed"], encode_genes_in_context(answer, "float32")):
        answer = decode_genes_in_context(text)
        assert answer.names == [row["name"] for row in case["rows"]]
        for name in ("cells", "matched", "unknown", "truncated"):
            assert getattr(answer, name).tolist() == [row[name] for row in case["rows"]]
        for i, row in enumerate(case["rows"]):
            symbols, span = answer.row(i)
            parts = (answer.genes, answer.counts, answer.sums)
            genes, counts, sums = (x[span].tolist() for x in parts)
            found = [list(x) for x in zip(genes, counts, sums, strict=True)]
            assert found == row["vectors"]
            assert symbols == [case["symbols"][gene] for gene in genes]
        assert (answer.symbols, answer.not_found) == (case["symbols"], case["not_found"])
        assert (answer.grouped, answer.digest) == (case["grouped"], case["digest"])


@vectors("refused_genes_in_context")
def test_what_is_refused_of_genes_in_context(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_genes_in_context(case["packed"])
    assert refusal.value.code == case["code"]


@vectors("refused")
def test_what_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_cells(case["packed"])
    assert refusal.value.code == case["code"]
