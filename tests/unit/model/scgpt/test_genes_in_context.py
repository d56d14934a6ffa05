"""Genes in context: the transformer's own output, per cell and per group, and merged chunks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.errors import InvalidPacking, InvalidRequest, LimitExceeded
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.genes_in_context import embed_genes_in_context
from scgpt_databricks.model.wire.genes_in_context import (
    GenesInContext,
    decode_genes_in_context,
    encode_genes_in_context,
    merge,
)
from tests.unit.model.reference import (
    GENES,
    ReferenceModel,
    make_counts,
    make_model,
    write_checkpoint,
)

COUNTS = sparse.csr_matrix(make_counts(20, len(GENES), seed=8))
LABELS = ["B" if i % 3 else "T" for i in range(20)]
CELLS = Cells(COUNTS, GENES, [f"c{i}" for i in range(20)], {"type": LABELS})


def part(first: int, last: int) -> Cells:
    return Cells(COUNTS[first:last], GENES, CELLS.ids[first:last], {"type": LABELS[first:last]})


def vectors(found: GenesInContext) -> dict[tuple[str, str], np.ndarray]:
    out = {}
    for i, name in enumerate(found.names):
        symbols, span = found.row(i)
        out |= {(name, s): v for s, v in zip(symbols, found.means()[span], strict=True)}
    return out


def test_cells_get_the_independent_models_output(
    embedder: Embedder, reference_model: ReferenceModel
) -> None:
    found = embed_genes_in_context(embedder, CELLS)
    tokens = embedder.tokenize(COUNTS, GENES)
    encoder, values_of = reference_model.encoder, reference_model.value_encoder
    for i in range(20):
        span = slice(tokens.indptr[i], tokens.indptr[i + 1])
        genes = torch.from_numpy(tokens.genes[span])[None]
        values = torch.from_numpy(tokens.values[span])[None].float()
        with torch.no_grad():
            x = encoder["enc_norm"](encoder["embedding"](genes)) + values_of(values)
            wanted = reference_model.transformer_encoder(x)[0, 1:].numpy()
        symbols, at = found.row(i)
        assert symbols == [GENES[g] for g in tokens.genes[span][1:]]
        np.testing.assert_allclose(found.sums[at], wanted, atol=2e-5)
    np.testing.assert_array_equal(found.matched, embedder.embed_cells(COUNTS, GENES).matched)
    assert (found.counts == 1).all()
    assert found.names == CELLS.ids


def test_groups_are_sums_over_the_cells_in_which_a_gene_was_a_token(embedder: Embedder) -> None:
    single = vectors(embed_genes_in_context(embedder, CELLS))
    found = embed_genes_in_context(embedder, CELLS, group_by="type")
    assert (found.names, found.cells.tolist()) == (["B", "T"], [13, 7])
    for i, label in enumerate(found.names):
        symbols, span = found.row(i)
        mates = [c for c, other in zip(CELLS.ids, LABELS, strict=True) if other == label]
        for symbol, count, total in zip(symbols, found.counts[span], found.sums[span], strict=True):
            mine = [single[c, symbol] for c in mates if (c, symbol) in single]
            assert len(mine) == count
            np.testing.assert_allclose(total, np.sum(mine, axis=0), atol=1e-4)


@pytest.mark.parametrize("cuts", [[7], [1, 2, 19]])
def test_chunks_merge_into_the_answer_about_all(embedder: Embedder, cuts: list[int]) -> None:
    whole = embed_genes_in_context(embedder, CELLS, group_by="type", genes=["G5", "G1", "nowhere"])
    ends = [0, *cuts, 20]
    parts = [
        embed_genes_in_context(embedder, part(a, b), group_by="type", genes=["G5", "G1", "nowhere"])
        for a, b in pairwise(ends)
    ]
    packed = [decode_genes_in_context(encode_genes_in_context(p, "float32")) for p in parts]
    merged = merge(packed)
    order = [merged.names.index(name) for name in whole.names]
    np.testing.assert_array_equal(merged.cells[order], whole.cells)
    np.testing.assert_array_equal(merged.matched[order], whole.matched)
    assert merged.not_found == ["nowhere"]
    got, wanted = vectors(merged), vectors(whole)
    assert got.keys() == wanted.keys()
    for key, vector in wanted.items():
        np.testing.assert_allclose(got[key], vector, atol=1e-5)


def test_only_the_genes_that_are_asked_for(embedder: Embedder) -> None:
    found = embed_genes_in_context(embedder, CELLS, genes=["G5", "nowhere", "G1"])
    assert (found.symbols, found.not_found) == (["G1", "G5"], ["nowhere"])
    everything = vectors(embed_genes_in_context(embedder, CELLS))
    for key, vector in vectors(found).items():
        np.testing.assert_array_equal(vector, everything[key])


def test_company_and_batches_never_change_a_vector(embedder: Embedder) -> None:
    whole = vectors(embed_genes_in_context(embedder, CELLS))
    for key, vector in vectors(embed_genes_in_context(embedder, part(4, 5))).items():
        np.testing.assert_allclose(vector, whole[key], atol=1e-5)


def test_cells_without_tokens_have_no_vectors(embedder: Embedder) -> None:
    empty = Cells(sparse.csr_matrix((2, len(GENES)), dtype=np.float32), GENES)
    found = embed_genes_in_context(embedder, empty)
    assert (found.names, len(found.genes), found.symbols) == (["0", "1"], 0, [])
    again = decode_genes_in_context(encode_genes_in_context(found, "float32"))
    assert again.sums.shape == (0, 32)
    labelled = Cells(empty.counts, GENES, None, {"type": ["B", "T"]})
    groups = embed_genes_in_context(embedder, labelled, group_by="type")
    assert merge([groups, groups]).cells.tolist() == [2, 2]


def test_single_cells_are_put_side_by_side(embedder: Embedder) -> None:
    sent = [embed_genes_in_context(embedder, part(a, b)) for a, b in ((0, 7), (7, 20))]
    merged = merge([decode_genes_in_context(encode_genes_in_context(p, "float32")) for p in sent])
    whole = vectors(embed_genes_in_context(embedder, CELLS))
    assert (merged.names, merged.grouped) == (CELLS.ids, False)
    assert (merged.cells == 1).all()
    for key, vector in vectors(merged).items():
        np.testing.assert_allclose(vector, whole[key], atol=1e-5)


def test_different_cells_of_one_name_are_never_added(embedder: Embedder) -> None:
    """Chunks without ids: the first cell of each is called 0."""
    sent = [embed_genes_in_context(embedder, Cells(COUNTS[a : a + 2], GENES)) for a in (0, 2)]
    with pytest.raises(InvalidRequest, match=r"2 names .* '0' .* with ids of its own") as caught:
        merge([decode_genes_in_context(encode_genes_in_context(p, "float32")) for p in sent])
    assert caught.value.code == "duplicate_cells"
    twice = embed_genes_in_context(embedder, Cells(COUNTS[:2], GENES, ["a", "a"]))
    with pytest.raises(InvalidRequest, match="'a'"):
        merge([twice])


def test_groups_and_cells_are_not_merged(embedder: Embedder) -> None:
    groups = embed_genes_in_context(embedder, part(0, 7), group_by="type")
    with pytest.raises(InvalidRequest, match="same group_by") as caught:
        merge([groups, embed_genes_in_context(embedder, part(7, 20))])
    assert caught.value.code == "mixed_answers"


def test_an_answer_says_whether_its_rows_are_groups(embedder: Embedder) -> None:
    """Also where each group holds one cell."""
    one = embed_genes_in_context(embedder, part(0, 1), group_by="type")
    again = decode_genes_in_context(encode_genes_in_context(one, "float32"))
    assert (again.grouped, again.cells.tolist()) == (True, [1])
    assert merge([again, again]).cells.tolist() == [2]
    one_cell = replace(one, grouped="yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidPacking, match="grouped must be true or false"):
        decode_genes_in_context(encode_genes_in_context(one_cell, "float32"))


@pytest.mark.parametrize(
    ("obs", "options", "code"),
    [
        ({}, {"group_by": "type"}, "no_such_column"),
        ({"type": [None, *LABELS[1:]]}, {"group_by": "type"}, "missing_group"),
        ({}, {"genes": ["nowhere"]}, "no_known_gene"),
        ({}, {"genes": ["G1", "nowhere", "nowhere"]}, "duplicate_genes"),
        ({}, {"genes": ["G1", ""]}, "invalid_gene_name"),
    ],
)
def test_what_cannot_be_answered(embedder: Embedder, obs: dict, options: dict, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embed_genes_in_context(embedder, Cells(COUNTS, GENES, None, obs), **options)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", [list, np.array, pd.Index])
def test_genes_may_be_named_in_any_kind_of_list(embedder: Embedder, kind: type) -> None:
    found = embed_genes_in_context(embedder, CELLS, genes=kind(["G1", "nowhere", "G2"]))
    assert found.not_found == ["nowhere"]
    assert set(found.symbols) == {"G1", "G2"}
    assert len(embed_genes_in_context(embedder, CELLS, genes=kind([])).symbols) > 2


def test_a_limit_is_kept_before_anything_is_computed(embedder: Embedder) -> None:
    with pytest.raises(LimitExceeded, match="group_by"):
        embed_genes_in_context(embedder, CELLS, max_vectors=10)


def test_two_models_are_never_merged(embedder: Embedder, tmp_path_factory) -> None:
    folder = write_checkpoint(tmp_path_factory.mktemp("other"), make_model(seed=1))
    other = embed_genes_in_context(Embedder.load(folder, device="cpu"), CELLS)
    with pytest.raises(InvalidRequest, match="cannot be merged") as caught:
        merge([embed_genes_in_context(embedder, CELLS), other])
    assert caught.value.code == "two_models"


def test_a_damaged_answer_is_refused(embedder: Embedder) -> None:
    found = embed_genes_in_context(embedder, part(0, 2))
    found.genes[0] = 10**6
    with pytest.raises(InvalidPacking, match="indices"):
        decode_genes_in_context(encode_genes_in_context(found, "float32"))
