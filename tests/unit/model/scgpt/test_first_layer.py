"""What is looked up for the first layer is what its products give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from scipy import sparse
from torch import Tensor

from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.first_layer import FirstLayer
from tests.unit.model.reference import GENES, make_counts

GENE_ROWS, VALUE_ROWS, WIDTH = 500, 52, 32
COUNTS = sparse.csr_matrix(make_counts(40, len(GENES)))


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


TABLE, VALUES = _random(GENE_ROWS, WIDTH), _random(VALUE_ROWS, WIDTH)
WEIGHT, BIAS = _random(3 * WIDTH, WIDTH), _random(3 * WIDTH)


def encode(genes: Tensor) -> Tensor:
    return F.embedding(genes, TABLE)


def first_layer() -> FirstLayer:
    return FirstLayer(GENE_ROWS, VALUES, WEIGHT, BIAS)


def tokens(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    genes, values = (
        torch.randint(0, rows, (n,), generator=generator) for rows in (GENE_ROWS, VALUE_ROWS)
    )
    return genes, values


@pytest.mark.parametrize("n", [1, 63, 64, 65, 700])
def test_it_is_the_product_of_the_sum(n: int) -> None:
    genes, values = tokens(n, n)
    found = first_layer()(genes, values, encode)
    wanted = F.linear(TABLE[genes] + VALUES[values], WEIGHT, BIAS)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_neither_company_nor_order_changes_a_bit() -> None:
    genes, values = tokens(300, 1)
    together = first_layer()(genes, values, encode)
    one_by_one = first_layer()
    for i in reversed(range(300)):
        alone = one_by_one(genes[i : i + 1], values[i : i + 1], encode)
        assert torch.equal(alone[0], together[i])
    assert torch.equal(one_by_one(genes, values, encode), together)


def test_a_gene_is_encoded_once() -> None:
    asked: list[int] = []

    def counted(genes: Tensor) -> Tensor:
        asked.extend(genes.unique().tolist())
        return encode(genes)

    layer = first_layer()
    for _ in range(3):
        layer(torch.arange(200), torch.zeros(200, dtype=torch.int64), counted)
    assert set(asked) == set(range(200))
    assert sum(gene > 0 for gene in asked) == 199  # gene 0 fills the last block


def test_threads_that_meet_the_same_genes_get_the_same_bits() -> None:
    genes, values = tokens(2000, 2)
    alone = first_layer()(genes, values, encode)
    shared = first_layer()
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda _: shared(genes, values, encode), range(8)))
    assert all(torch.equal(each, alone) for each in found)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_answers_as_without_it(checkpoint: Path, precision: str) -> None:
    with_it = Embedder.load(checkpoint, device="cpu", precision=precision)
    without = Embedder(with_it.checkpoint, replace(with_it.network, first_layer=None))
    found, wanted = (x.embed_cells(COUNTS, GENES).embeddings for x in (with_it, without))
    tolerance = 1e-6 if precision == "float32" else 2e-2
    np.testing.assert_allclose(found, wanted, atol=tolerance)
