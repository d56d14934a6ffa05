"""A model of another family behind the same serving code: a few lines, no tokens, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse

from scgpt_databricks.model.cells.known_genes import UNKNOWN, CheckedCells
from scgpt_databricks.model.contract import CELL_TASKS, Options, param
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.serve.answer import answer
from scgpt_databricks.model.serve.engine import Engine
from scgpt_databricks.model.wire.codec import decode_embeddings, encode_cells
from scgpt_databricks.model.wire.embeddings import CellEmbeddings, GeneEmbeddings
from scgpt_databricks.model.wire.genes_in_context import GenesInContext

GENES = ["A", "B", "C"]
DIGEST = "b" * 64
COUNTS = sparse.csr_matrix(np.array([[1, 2, 0, 4], [0, 0, 3, 0]], np.float32))
CELLS = pd.DataFrame({"packed": [encode_cells(COUNTS, [*GENES, "X"], ["c0", "c1"])]})


@dataclass(frozen=True)
class TotalsOptions(Options):
    factor: float = param("double", 1.0, least=0, tasks=CELL_TASKS)


class Vocabulary:
    def __len__(self) -> int:
        return len(GENES)

    def lookup(self, genes: Iterable[str]) -> NDArray[np.int64]:
        return np.array([GENES.index(g) if g in GENES else UNKNOWN for g in genes], np.int64)

    def likely_cause(self, unknown: Sequence[str], cell_ids: Sequence[str] = ()) -> str:
        return "This model knows three genes."


class Totals:
    """A cell's vector is the value of each gene, times a factor."""

    options, vocab, width = TotalsOptions, Vocabulary(), len(GENES)
    digest, choices = DIGEST, "engine: none"

    def check_options(self, options: TotalsOptions) -> None:
        if options.factor > 9:
            raise InvalidRequest("invalid_param", f"factor is {options.factor}; it must be 0 .. 9.")

    def embed_cells(
        self, sent: Sequence[CheckedCells], options: TotalsOptions
    ) -> list[CellEmbeddings]:
        return [self._embedded(checked, options) for checked in sent]

    def _embedded(self, sent: CheckedCells, options: TotalsOptions) -> CellEmbeddings:
        vectors, matched = self._vectors(sent)
        unknown = np.diff(sent.cells.counts.indptr) - matched
        none = np.zeros_like(matched)
        return CellEmbeddings(vectors * options.factor, matched, unknown, none, DIGEST)

    def embed_genes(self, genes: Sequence[str] | None, page: slice) -> GeneEmbeddings:
        known = [g for g in genes or GENES if g in GENES]
        unknown = [g for g in genes or () if g not in GENES]
        vectors = np.eye(len(GENES), dtype=np.float32)[[GENES.index(g) for g in known]]
        return GeneEmbeddings(known[page], vectors[page], unknown, DIGEST, len(known))

    def embed_genes_in_context(
        self, sent: Sequence[CheckedCells], options: TotalsOptions, max_vectors: int
    ) -> list[GenesInContext]:
        raise InvalidRequest("invalid_param", "this model has no genes in context.")

    def _vectors(self, sent: CheckedCells) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        known = sent.places != UNKNOWN
        vectors = np.zeros((sent.cells.counts.shape[0], len(GENES)), np.float32)
        vectors[:, sent.places[known]] = sent.cells.counts[:, np.flatnonzero(known)].toarray()
        return vectors, (vectors != 0).sum(axis=1)


ENGINE: Engine = Totals()


def ask(**params: Any) -> Any:
    return answer(ENGINE, CELLS, params).to_dict("records")


def test_its_cells_are_answered() -> None:
    common = {"truncated_genes": 0, "input_row": 0, "model_digest": DIGEST}
    first = {"id": "c0", "embedding": [2.0, 4.0, 0.0], "matched_genes": 2, "unknown_genes": 1}
    second = {"id": "c1", "embedding": [0.0, 0.0, 6.0], "matched_genes": 1, "unknown_genes": 0}
    assert ask(factor=2.0) == [{**first, **common}, {**second, **common}]


def test_its_answers_travel_packed() -> None:
    (line,) = ask(response_format="float16")
    packed = decode_embeddings(line["packed"])
    assert (packed.names, packed.digest) == (["c0", "c1"], DIGEST)
    np.testing.assert_array_equal(packed.embeddings, [[1, 2, 0], [0, 0, 3]])


def test_its_genes_are_answered_by_pages() -> None:
    (line,) = ask(task="gene_embeddings", gene_offset=1, gene_limit=1)
    assert (line["gene_embeddings"], line["genes_total"]) == ({"B": [0.0, 1.0, 0.0]}, 3)
    assert line["genes_not_found"] == ["X"]


def test_filters_are_done_before_it_is_asked() -> None:
    lines = ask(filter_gene_by_counts=3, min_known_fraction=0.0)
    assert [line["embedding"] for line in lines] == [[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]
    assert lines[0]["applied_steps"] == ["filter_gene_by_counts=3: 2 of 4 genes kept"]


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"ties": "mid"}, "unknown_param", "ties: no such param"),
        ({"factor": -1.0}, "invalid_param", "0 or more"),
        ({"factor": 10.0}, "invalid_param", "0 .. 9"),
        ({"factor": 2.0, "task": "gene_embeddings"}, "invalid_param", "factor belongs to"),
        ({"min_known_fraction": 0.99}, "too_few_known_genes", "knows three genes"),
        ({"task": "contextual_gene_embeddings"}, "invalid_param", "no genes in context"),
    ],
)
def test_its_own_params_and_genes_are_judged(params: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        ask(**params)
    assert refusal.value.code == code
