"""The engine against an independent torch model, and one cell, one answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from scgpt_databricks.model.errors import EngineError, InvalidRequest
from scgpt_databricks.model.scgpt import attention
from scgpt_databricks.model.scgpt.attention import Way
from scgpt_databricks.model.scgpt.device import dtype_for
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.reference import (
    GENES,
    ReferenceModel,
    make_counts,
    make_model,
    write_checkpoint,
)
from tests.unit.model.scgpt.varlen import varlen

COUNTS = sparse.csr_matrix(make_counts(40, len(GENES)))


def test_embeddings_equal_the_independent_model(
    embedder: Embedder, reference_model: ReferenceModel
) -> None:
    got = embedder.embed_cells(COUNTS, GENES, ties="spread").embeddings
    tokens = embedder.tokenize(COUNTS, GENES, ties="spread")
    for i in range(COUNTS.shape[0]):
        span = slice(tokens.indptr[i], tokens.indptr[i + 1])
        genes = torch.from_numpy(tokens.genes[span])[None]
        values = torch.from_numpy(tokens.values[span])[None].float()
        with torch.no_grad():
            wanted = reference_model(genes, values, torch.zeros_like(genes, dtype=torch.bool))
        np.testing.assert_allclose(got[i], wanted[0].numpy(), atol=1e-6)


def test_different_cells_differ(embedder: Embedder) -> None:
    """Without this, agreement within 1e-6 would mean nothing."""
    e = embedder.embed_cells(COUNTS, GENES).embeddings
    cosine = e @ e.T
    assert cosine[~np.eye(len(e), dtype=bool)].max() < 0.999
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, atol=1e-6)


def test_both_key_styles_give_the_same_answer(
    tmp_path: Path, embedder: Embedder, reference_model: ReferenceModel
) -> None:
    plain = Embedder.load(write_checkpoint(tmp_path, reference_model, flash=False), device="cpu")
    np.testing.assert_array_equal(
        plain.embed_cells(COUNTS, GENES).embeddings, embedder.embed_cells(COUNTS, GENES).embeddings
    )
    assert plain.digest != embedder.digest


def test_batch_size_order_and_company_never_change_a_cell(checkpoint: Path) -> None:
    whole = Embedder.load(checkpoint, device="cpu").embed_cells(COUNTS, GENES).embeddings
    small = Embedder.load(checkpoint, device="cpu", token_budget=64)
    order = np.random.default_rng(1).permutation(COUNTS.shape[0])
    shuffled = small.embed_cells(COUNTS[order], GENES).embeddings
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-6)
    alone = small.embed_cells(COUNTS[7], GENES).embeddings
    np.testing.assert_allclose(alone[0], whole[7], atol=1e-6)


def test_order_of_columns_never_changes_a_bit(embedder: Embedder) -> None:
    columns = np.random.default_rng(2).permutation(len(GENES))
    got = embedder.embed_cells(COUNTS[:, columns], [GENES[i] for i in columns])
    np.testing.assert_array_equal(got.embeddings, embedder.embed_cells(COUNTS, GENES).embeddings)


def test_an_empty_cell_is_flagged_and_the_others_are_answered(embedder: Embedder) -> None:
    counts = COUNTS.tolil()
    counts[3] = 0
    got = embedder.embed_cells(counts.tocsr(), GENES)
    assert got.matched[3] == 0
    assert not got.embeddings[3].any()
    whole = embedder.embed_cells(COUNTS, GENES).embeddings
    np.testing.assert_allclose(np.delete(got.embeddings, 3, 0), np.delete(whole, 3, 0), atol=1e-6)


def test_cells_that_are_all_empty_are_flagged_like_one(embedder: Embedder) -> None:
    """Otherwise a cell's fate would hang on the cells that it was sent with."""
    got = embedder.embed_cells(sparse.csr_matrix((2, len(GENES)), dtype=np.float32), GENES)
    assert not got.matched.any()
    assert not got.embeddings.any()


def test_counts_of_matched_unknown_and_truncated_genes(embedder: Embedder) -> None:
    counts = sparse.csr_matrix(np.ones((1, 122), np.float32))
    got = embedder.embed_cells(counts, [*GENES, "NOT_A_GENE", "<pad>"])
    room = embedder.config.max_length - 1
    assert (got.matched[0], got.unknown[0], got.truncated[0]) == (120, 2, 120 - room)


def test_gene_embeddings_are_the_normalised_rows_of_the_table(
    embedder: Embedder, reference_model: ReferenceModel
) -> None:
    encoder = reference_model.encoder
    with torch.no_grad():
        wanted = encoder["enc_norm"](encoder["embedding"](torch.tensor([5, 2]))).numpy()
    got = embedder.embed_genes(["G5", "nowhere", "G2"])
    assert (got.genes, got.unknown) == (["G5", "G2"], ["nowhere"])
    np.testing.assert_allclose(got.embeddings, wanted, atol=1e-6)
    everything = embedder.embed_genes()
    assert everything.genes == GENES
    np.testing.assert_array_equal(everything.embeddings[5], got.embeddings[0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_stays_close(checkpoint: Path, embedder: Embedder, precision: str) -> None:
    half = Embedder.load(checkpoint, device="cpu", precision=precision)
    a = half.embed_cells(COUNTS, GENES).embeddings
    b = embedder.embed_cells(COUNTS, GENES).embeddings
    assert (a * b).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float16), ((8, 0), torch.bfloat16)]
)
def test_the_type_follows_the_compute_capability(
    capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert dtype_for(torch.device("cuda"), None) == dtype
    assert dtype_for(torch.device("cuda"), "float32") == torch.float32
    assert dtype_for(torch.device("cpu"), None) == torch.float32


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int8"}, "float32, bfloat16, float16"),
        ({"device": "mps"}, "cpu or cuda"),
        ({"device": "gpu"}, "cpu or cuda"),
        ({"device": "cpu:x"}, "cpu or cuda"),
        ({"device": "cuda:"}, "cpu or cuda"),
        ({"device": "cuda:-1"}, "cpu or cuda"),
        ({"device": 3}, "cpu or cuda"),
        ({"device": "cuda:999"}, r"torch sees \d+ CUDA"),
        ({"precision": ["float32"]}, "float32, bfloat16, float16"),
        ({"device": "cpu", "token_budget": "4096"}, "token_budget is '4096'"),
        ({"device": "cpu", "token_budget": -1}, "token_budget is -1"),
        ({"device": "cpu", "token_budget": 0}, "token_budget is 0"),
        ({"device": "cpu", "token_budget": True}, "token_budget is True"),
        ({"device": "cpu", "token_budget": 2.5}, "token_budget is 2.5"),
    ],
)
def test_what_it_cannot_compute_with_is_refused(
    checkpoint: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        Embedder.load(checkpoint, **options)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 1.5, "1"])
def test_a_seed_that_is_none(embedder: Embedder, seed: Any) -> None:
    with pytest.raises(InvalidRequest, match="seed is") as caught:
        embedder.embed_cells(COUNTS, GENES, seed=seed)
    assert caught.value.code == "invalid_param"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_where_there_is_none_is_said(checkpoint: Path) -> None:
    with pytest.raises(EngineError, match="torch sees 0 CUDA"):
        Embedder.load(checkpoint, device="cuda")


def test_other_cells_never_change_a_bit_at_one_shape(embedder: Embedder) -> None:
    """Cells cut to one length: whatever else is in the batch, and wherever a cell lies in it."""
    order = np.random.default_rng(3).permutation(COUNTS.shape[0])
    alike = embedder.embed_cells(COUNTS, GENES, max_length=16).embeddings
    moved = embedder.embed_cells(COUNTS[order], GENES, max_length=16).embeddings
    others = COUNTS.tolil()
    others[5:, :7] = 1
    changed = embedder.embed_cells(others.tocsr(), GENES, max_length=16).embeddings
    assert (embedder.tokenize(COUNTS, GENES, max_length=16).lengths() == 16).all()
    np.testing.assert_array_equal(moved, alike[order])
    np.testing.assert_array_equal(changed[:5], alike[:5])


@pytest.mark.parametrize("way", ["padded", "variable length"])
def test_the_ways_of_a_gpu_give_the_same_answer(
    embedder: Embedder, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole network on the processor: cells and genes in context."""
    monkeypatch.setattr(attention, "varlen_attention", lambda: varlen)
    as_there = replace(embedder.network, attention=way, first_layer=None)
    other = Embedder(embedder.checkpoint, as_there)
    found, alone = (x.embed_cells(COUNTS, GENES).embeddings for x in (other, embedder))
    np.testing.assert_allclose(found, alone, atol=1e-6)
    tokens = embedder.tokenize(COUNTS, GENES)
    for (places, mine), (theirs, reference) in zip(
        other.run_tokens(tokens), embedder.run_tokens(tokens), strict=True
    ):
        np.testing.assert_array_equal(places, theirs)
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=0)


def test_stored_duplicates_are_summed_as_scipy_means_them(embedder: Embedder) -> None:
    twice = sparse.csr_matrix(
        (np.array([1, 2, 5], np.float32), np.array([4, 4, 9]), np.array([0, 3])),
        shape=(1, len(GENES)),
    )
    once = sparse.csr_matrix(twice.toarray())
    np.testing.assert_array_equal(
        embedder.embed_cells(twice, GENES).embeddings, embedder.embed_cells(once, GENES).embeddings
    )
    assert twice.nnz == 3  # the caller's matrix is left alone


def _with(value: float) -> sparse.csr_matrix:
    counts = COUNTS.copy()
    counts.data[0] = value
    return counts


@pytest.mark.parametrize(
    ("cells", "genes", "code"),
    [
        (_with(np.nan), GENES, "not_finite"),
        (_with(np.inf), GENES, "not_finite"),
        (_with(-1), GENES, "negative_values"),
        (COUNTS[:0], GENES, "no_cells"),
        (COUNTS, GENES[:-1], "gene_count_mismatch"),
        (COUNTS, [*GENES[:-1], GENES[0]], "duplicate_genes"),
        (COUNTS, [*GENES[:-1], ""], "invalid_gene_name"),
        (COUNTS, [None, *GENES[1:]], "invalid_gene_name"),
        (COUNTS, [f"X{i}" for i in range(len(GENES))], "no_known_gene"),
    ],
)
def test_bad_cells_are_refused(
    embedder: Embedder, cells: sparse.csr_matrix, genes: list[str], code: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embedder.embed_cells(cells, genes)
    assert (caught.value.code, caught.value.status) == (code, 400)


@pytest.mark.parametrize("option", [{"ties": "random"}, {"max_length": 1}, {"max_length": 65}])
def test_impossible_options_are_refused(embedder: Embedder, option: dict) -> None:
    with pytest.raises(InvalidRequest, match="must be"):
        embedder.embed_cells(COUNTS, GENES, **option)


def test_another_seed_keeps_other_genes_of_a_long_cell(checkpoint: Path) -> None:
    embedder = Embedder.load(checkpoint, device="cpu")
    long = sparse.csr_matrix(np.arange(1, 121, dtype=np.float32)[None])
    first, again, other = (embedder.tokenize(long, GENES, seed=s).genes for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_a_random_model_of_another_seed_lies_elsewhere(tmp_path: Path, embedder: Embedder) -> None:
    other = Embedder.load(write_checkpoint(tmp_path, make_model(seed=1)), device="cpu")
    a, b = (e.embed_cells(COUNTS, GENES).embeddings for e in (embedder, other))
    assert np.abs(a - b).max() > 0.1
