"""Logged payloads in every form, read back as facts of their cells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model import contract
from scgpt_databricks.model.batch.payloads import Facts, read_payload
from scgpt_databricks.model.errors import ScgptError
from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.serve.answer import answer
from scgpt_databricks.model.wire.codec import encode_cells
from scgpt_databricks.model.wire.envelope import KIND_CELLS, pack

CELLS = {"task": contract.CELL_EMBEDDINGS}
CONTEXT = {"task": contract.GENES_IN_CONTEXT}


@pytest.fixture(scope="module")
def engine(embedder: Embedder) -> ScgptEngine:
    return ScgptEngine(embedder)


@pytest.fixture(scope="module")
def counts() -> sparse.csr_matrix:
    rng = np.random.default_rng(1)
    return sparse.csr_matrix(rng.poisson(0.8, (6, 40)).astype(np.float32))


@pytest.fixture(scope="module")
def genes(embedder: Embedder) -> list[str]:
    vocab = embedder.vocab
    return [*(vocab.tokens[i] for i in vocab.gene_ids[:38]), "NOT A GENE", "NOR THIS"]


def body(frame: pd.DataFrame, params: dict[str, Any], *, records: bool = False) -> str:
    if records:
        return json.dumps({"dataframe_records": frame.to_dict(orient="records"), "params": params})
    split = frame.to_dict(orient="split", index=False)
    return json.dumps({"dataframe_split": split, "params": params})


def asked(engine: ScgptEngine, frame: pd.DataFrame, params: dict[str, Any]) -> tuple[str, str]:
    """Return request and answer as they are on the wire."""
    found = answer(engine, frame, params).to_dict(orient="records")
    return body(frame, params), json.dumps({"predictions": found})


def frames(counts: sparse.csr_matrix, genes: list[str]) -> dict[str, pd.DataFrame]:
    ids = [f"cell-{i}" for i in range(counts.shape[0])]
    return {
        "guide": guide_frame(counts, genes),
        "packed": pd.DataFrame({contract.PACKED: [encode_cells(counts, genes, ids)]}),
    }


@pytest.mark.parametrize("form", ["guide", "packed"])
@pytest.mark.parametrize("response_format", ["json", "float16", "float32"])
def test_every_form_and_answer_gives_the_same_facts(
    engine: ScgptEngine,
    counts: sparse.csr_matrix,
    genes: list[str],
    form: str,
    response_format: str,
) -> None:
    params = {**CELLS, "response_format": response_format}
    found = read_payload(*asked(engine, frames(counts, genes)[form], params), 200)
    expected = engine.embedder.embed_cells(counts, genes)
    assert (found.form, found.task, found.reason) == (form, "cell_embeddings", None)
    assert found.digest == expected.digest
    assert found.cells is not None
    assert found.cells.embeddings is not None
    assert found.cells.ids == [f"cell-{i}" for i in range(6)]
    assert np.allclose(found.cells.embeddings, expected.embeddings, atol=1e-3)
    assert np.array_equal(found.cells.library_size, np.asarray(counts.sum(axis=1)).ravel())
    assert np.array_equal(found.cells.detected, np.diff(counts.indptr))
    assert np.array_equal(found.cells.matched, expected.matched)
    assert np.array_equal(found.cells.unknown, expected.unknown)
    assert found.sums == (expected.matched.sum(), expected.unknown.sum(), 0)
    assert found.whole_numbers
    assert found.detection == {
        g: n for g, n in zip(genes, (counts != 0).sum(axis=0).A1, strict=True) if n
    }


def test_cells_without_a_gene_and_sums_beyond_float32(genes: list[str]) -> None:
    header = {"cells": 5, "genes": genes[:3], "ids": None, "gap_type": "u1", "value_type": "f4"}
    lengths, gaps = np.array([0, 2, 0, 2, 1], "<u4"), np.array([0, 1, 0, 2, 0], "u1")
    values = np.array([2**24, 1, 3, 5, 0], "<f4")  # other packers may store zeros
    row = {contract.PACKED: pack(KIND_CELLS, header, [lengths, gaps, values], level=1)}
    body = json.dumps({"dataframe_records": [row], "params": {**CELLS}})
    found = read_payload(body, None, 200)
    assert found.cells is not None
    assert found.cells.library_size.tolist() == [0, 2**24 + 1, 0, 8, 0]
    assert found.cells.detected.tolist() == [0, 2, 0, 2, 0]
    assert found.detection == {genes[0]: 2, genes[1]: 1, genes[2]: 1}


@pytest.mark.parametrize("response_format", ["json", "float32"])
def test_several_rows_and_genes_in_context(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str], response_format: str
) -> None:
    rows = [encode_cells(counts[:2], genes), encode_cells(counts[2:], genes)]
    params = {**CONTEXT, "response_format": response_format}
    request, response = asked(engine, pd.DataFrame({contract.PACKED: rows}), params)
    found = read_payload(request, response, 200)
    assert found.cells is not None
    assert found.cells.embeddings is None
    assert found.cells.ids == ["0", "1", "0", "1", "2", "3"]
    assert np.array_equal(found.cells.library_size, np.asarray(counts.sum(axis=1)).ravel())


@pytest.mark.parametrize("response_format", ["json", "float32"])
def test_groups_are_counted_and_are_no_cells(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str], response_format: str
) -> None:
    labels = {"type": ["B", "T"] * 3}
    frame = pd.DataFrame({contract.PACKED: [encode_cells(counts, genes, obs=labels)]})
    params = {**CONTEXT, "group_by": "type", "response_format": response_format}
    found = read_payload(*asked(engine, frame, params), 200)
    assert found.cells is None
    assert found.n_cells == 6
    assert found.sums is not None
    assert sum(found.sums) > 0


@pytest.mark.parametrize("response_format", ["json", "float32"])
def test_answers_about_genes_have_no_cells(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str], response_format: str
) -> None:
    params = {"response_format": response_format}
    found = read_payload(*asked(engine, frames(counts, genes)["guide"], params), 200)
    assert (found.task, found.n_cells, found.cells) == ("gene_embeddings", 0, None)


def test_cells_that_a_filter_dropped_are_told_apart_by_name(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str]
) -> None:
    sizes = np.asarray(counts.sum(axis=1)).ravel()
    params = {**CELLS, "min_counts_per_cell": float(np.median(sizes))}
    found = read_payload(*asked(engine, frames(counts, genes)["packed"], params), 200)
    assert found.cells is not None
    assert 0 < len(found.cells) < 6
    of = [int(name.removeprefix("cell-")) for name in found.cells.ids]
    assert np.array_equal(found.cells.library_size, sizes[of])


def test_records_are_read_like_split(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str]
) -> None:
    frame = frames(counts, genes)["packed"]
    _, response = asked(engine, frame, CELLS)
    found = read_payload(body(frame, CELLS, records=True), response, 200)
    assert found.reason is None
    assert found.n_cells == 6


def test_what_was_not_logged_is_counted_where_the_other_half_says_it_and_never_guessed(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str]
) -> None:
    request, response = asked(engine, frames(counts, genes)["packed"], CELLS)
    half = read_payload(request, None, 200)
    assert (half.reason, half.n_cells, half.sums, half.digest) == (
        "response_not_logged",
        6,
        None,
        None,
    )
    assert half.cells is not None
    assert (half.cells.matched == -1).all()
    assert half.cells.embeddings is None
    half = read_payload(None, response, 200)
    assert (half.reason, half.form, half.n_cells) == ("request_not_logged", None, 6)
    assert half.cells is not None
    assert np.isnan(half.cells.library_size).all()
    assert half.cells.embeddings is not None
    assert read_payload(None, None, 200) == Facts(reason="not_logged")


def test_a_refusal_has_its_code(
    engine: ScgptEngine, counts: sparse.csr_matrix, genes: list[str]
) -> None:
    frame = frames(-counts, genes)["packed"]
    with pytest.raises(ScgptError) as refused:
        answer(engine, frame, CELLS)
    said = {"error_code": "INVALID_PARAMETER_VALUE", "message": refused.value.tagged()}
    found = read_payload(body(frame, CELLS), json.dumps(said), 400)
    assert (found.form, found.task, found.reason) == ("packed", *CELLS.values(), "negative_values")
    assert found.n_cells is None
    assert read_payload("{half", '{"message": "no JSON"}', 400).reason == "http_400"
    assert read_payload(None, None, 503).reason == "http_503"


def test_a_refused_request_is_told_whatever_it_says() -> None:
    odd = body(pd.DataFrame({contract.PACKED: ["x"]}), {"task": "\ud800"})
    found = read_payload(odd, r'{"code": "\ud800"}', 400)
    assert (found.task, found.reason) == (None, "http_400")


GOOD = json.dumps({"predictions": [{"id": "0", "embedding": [1.0], "matched_genes": 1,
    "unknown_genes": 0, "truncated_genes": 0, "input_row": 0, "model_digest": "d"}]})  # fmt: skip
GUIDE = json.dumps({"dataframe_records": [{"adata_sparsematrix": [[1, 2]], "adata_var":
    json.dumps({"columns": [], "index": ["genes"], "data": [[]]})}], "params": CELLS})  # fmt: skip
GROUPS = GOOD.replace('"id": "0"', f'"group": "g", "cells": {2**31}')
MALFORMED = {
    "half-written": ('{"dataframe_split": {"colu', GOOD, "request"),
    "a number": ("7", GOOD, "request"),
    "null": ("null", GOOD, "request"),
    "another model's": ('{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', GOOD, "request"),
    "messages": ('{"messages": [{"role": "user"}]}', GOOD, "request"),
    "deep": ("[" * 100_000, GOOD, "request"),
    "packed damage": ('{"dataframe_records": [{"packed": "U0NHUAEB"}]}', GOOD, "request"),
    "answer cut off": (None, '{"predictions": [{"id": "0", "embe', "response"),
    "foreign answer": (None, '{"choices": []}', "response"),
    "no rows": (None, '{"predictions": []}', "response"),
    "no digest": (None, '{"predictions": [{"id": "0", "input_row": 0}]}', "response"),
    "two digests": (None, GOOD[:-2] + ', {"model_digest": "e"}]}', "response"),
    "text for numbers": (None, GOOD.replace("[1.0]", '["x"]'), "response"),
    "not finite": (None, GOOD.replace("[1.0]", "[NaN]"), "response"),
    "uneven": (None, GOOD[:-2] + "," + GOOD[17:].replace("[1.0]", "[1, 2]"), "response"),
    "count": (None, GOOD.replace('"matched_genes": 1', '"matched_genes": "many"'), "response"),
    "more genes than a table holds": (None, GOOD.replace('s": 1', f's": {2**31}'), "response"),
    "fewer than none": (None, GOOD.replace('s": 1', 's": -1'), "response"),
    "a row beyond all": (None, GOOD.replace('row": 0', f'row": {2**63}'), "response"),
    "a count of lists": (None, GOOD.replace('s": 1', 's": [1, 2]'), "response"),
    "beyond float32": (None, GOOD.replace("[1.0]", "[1e300]"), "response"),
    "half a character": (None, GOOD.replace('"0"', r'"\ud800"'), "response"),
    "half a character in the digest": (None, GOOD.replace('"d"', r'"\uD800"'), "response"),
    "half a character asked": (GUIDE.replace("genes", r"\udfff"), GOOD, "request"),
    "fewer names than columns": (GUIDE, GOOD, "request"),
    "more cells than a table holds": (None, GROUPS, "response"),
    "huge count": (None, GOOD.replace('s": 1', 's": ' + "9" * 40), "response"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_cannot_be_understood_is_set_aside_with_the_reason(name: str) -> None:
    request, response, part = MALFORMED[name]
    found = read_payload(request, response, 200)
    assert found.malformed is not None
    assert found.malformed[0] == part
    assert 10 < len(found.malformed[1].encode()) <= 300
    assert found.reason == "malformed"
    assert found.cells is None
