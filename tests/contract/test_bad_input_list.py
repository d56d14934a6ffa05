"""The list of bad input, line by line: each is refused with its code and a sentence that helps.

One row of the table per line, through MLflow's ``predict``. What MLflow's server makes of the same
refusals is in ``test_pyfunc_bad_input.py``.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from scipy import sparse

from scgpt_databricks.model.contract import MAX_CELLS
from scgpt_databricks.model.errors import find_tag
from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells
from tests.unit.model.reference import GENES, make_counts

COUNTS = make_counts(4, 10, seed=5)
SOME = GENES[:10]
PACKED = encode_cells(sparse.csr_matrix(COUNTS), SOME)
WIDE = [*GENES, *(f"X{i}" for i in range(100))]  # more than half of them known
HEADER = {"cells": 1, "genes": ["G1"], "ids": None, "gap_type": "u1", "value_type": "u1"}
ONE_VALUE = struct.pack("<I", 1)


def guide(counts: Any = COUNTS, genes: list[str] | None = None, **columns: Any) -> dict[str, Any]:
    """One row in the guide's serialisable form; columns may be replaced."""
    matrix = counts.tolist() if isinstance(counts, np.ndarray) else counts
    var = pd.DataFrame(index=SOME if genes is None else genes)
    return {
        "adata_sparsematrix": matrix,
        "adata_var": var.to_json(orient="split"),
        **columns,
    }


def with_value(value: float) -> np.ndarray:
    counts = COUNTS.astype(np.float64)
    counts[1, 2] = value
    return counts


def packed(header: dict[str, Any], arrays: bytes, version: int = 1, length: int = 0) -> str:
    """A payload made from the specification alone, so that each part can be wrong."""
    head = json.dumps(header).encode()
    body = struct.pack("<I", len(head)) + head + arrays
    envelope = struct.pack("<4sBBHI", b"SCGP", version, 1, 0, length or len(body))
    return base64.b64encode(envelope + zlib.compress(body)).decode()


def imputed(n_cells: int) -> np.ndarray:
    return np.random.default_rng(0).gamma(1.0, 1.0, (n_cells, len(WIDE))) + 1e-3


@dataclass(frozen=True)
class Bad:
    """A line of the list: what is sent, the code that comes back, and words of its sentence."""

    line: str
    row: dict[str, Any]
    code: str
    words: str
    params: dict[str, Any] = field(default_factory=dict)


LIST = [
    Bad(
        "duplicate gene names",
        guide(genes=[*SOME[:9], "G1"]),
        "duplicate_genes",
        "'G1' for one; each column needs its own",
    ),
    Bad(
        "unknown gene names",
        guide(genes=[f"X{i}" for i in range(10)]),
        "no_known_gene",
        "none of the 10 genes is in the vocabulary of 123 tokens (unknown: X0, X1, X2)",
    ),
    Bad(
        "mostly unknown gene names",
        guide(genes=["G1", *(f"X{i}" for i in range(9))]),
        "too_few_known_genes",
        "at least 50% must",
    ),
    Bad(
        "no gene names",
        {"adata_sparsematrix": COUNTS.tolist()},
        "no_gene_names",
        "came without adata_var; send the table whose index names the genes",
    ),
    Bad("no gene at all", guide([[], []], []), "no_known_gene", "none of the 0 genes"),
    Bad("an empty gene name", guide(genes=[*SOME[:9], ""]), "invalid_gene_name", "non-empty"),
    Bad("NaN", guide(with_value(np.nan)), "not_finite", "hold NaN or infinity"),
    Bad("inf", guide(with_value(np.inf)), "not_finite", "must be finite float32 numbers"),
    Bad("beyond float32", guide(with_value(1e300)), "not_finite", "Replace or drop them"),
    Bad(
        "NaN, packed",
        {"packed": encode_cells(sparse.csr_matrix(with_value(np.nan)), SOME)},
        "not_finite",
        "hold NaN or infinity",
    ),
    Bad(
        "negative (scaled)",
        guide(COUNTS - COUNTS.mean(axis=0)),
        "negative_values",
        "Scaled (z-scored) data cannot be used: send raw, normalised or log1p counts",
    ),
    Bad(
        "dense imputed values",
        guide(imputed(3), WIDE),
        "imputed_values",
        "3 of 3 cells look imputed or smoothed: most of their 220 genes are above 0",
    ),
    Bad(
        "dense imputed values, packed",
        {"packed": encode_cells(sparse.csr_matrix(imputed(3)), WIDE)},
        "imputed_values",
        "or set allow_imputed if these values are meant",
    ),
    Bad("ragged rows", guide([[1, 2], [3]]), "invalid_matrix", "its rows differ in length"),
    Bad(
        "fewer columns than genes",
        guide(COUNTS[:, :5]),
        "gene_count_mismatch",
        "has 5 columns but 10 genes are named",
    ),
    Bad(
        "indices out of range",
        {"packed": packed(HEADER, ONE_VALUE + bytes([1, 5]))},
        "packed_index_out_of_range",
        "stay below 1, the number of genes",
    ),
    Bad(
        "indices that do not rise",
        {"packed": packed(HEADER, struct.pack("<I", 2) + bytes([0, 0, 5, 5]))},
        "packed_index_out_of_range",
        "must rise within a cell",
    ),
    Bad(
        "more values in a cell than there are genes",
        {"packed": packed(HEADER, struct.pack("<I", 1 << 22) + bytes(2 << 22))},
        "packed_index_out_of_range",
        "must rise within a cell",
    ),
    Bad("wrong base64", {"packed": "no base64!"}, "packed_base64", "is not base64"),
    Bad(
        "wrong version",
        {"packed": packed(HEADER, ONE_VALUE + bytes([0, 5]), version=2)},
        "packed_version",
        "version 2 is not known here; send version 1",
    ),
    Bad(
        "wrong length",
        {"packed": packed(HEADER, ONE_VALUE + bytes([0, 5]), length=9999)},
        "packed_length",
        "not of the 9,999 bytes that the envelope states",
    ),
    Bad(
        "arrays shorter than claimed",
        {"packed": packed({**HEADER, "cells": 9}, ONE_VALUE + bytes([0, 5]))},
        "packed_truncated",
        "ends before its 9 u4 numbers do",
    ),
    Bad(
        "a decompression bomb",
        {"packed": packed(HEADER, bytes(50 << 20), length=64)},
        "packed_length",
        "not of the 64 bytes",
    ),
    Bad(
        "a bomb that says so",
        {"packed": packed(HEADER, b"", length=2**32 - 1)},
        "packed_too_large",
        "at most 67,108,864 are allowed",
    ),
    Bad(
        "more cells claimed than allowed",
        {"packed": packed({**HEADER, "cells": MAX_CELLS + 1}, b"")},
        "packed_too_large",
        "20,001 cells; at most 20,000 are allowed",
    ),
    Bad(
        "more cells than allowed",
        guide(np.zeros((MAX_CELLS + 1, 1)), ["G1"]),
        "too_many_cells",
        "20,001 cells in one row; 20,000 are allowed",
    ),
    Bad(
        "two forms in one request",
        guide(packed=PACKED),
        "two_forms",
        "Each row holds either the columns adata_sparsematrix, adata_obs, adata_var or the",
    ),
    Bad("no form", {"packed": None}, "no_form", "a row of the request holds no input"),
    Bad("a param of an unknown name", guide(), "unknown_param", "tsak: no such", {"tsak": "x"}),
    Bad(
        "a param of an impossible value",
        guide(),
        "invalid_param",
        "ties is 'random'; it must be one of mid, spread",
        {"ties": "random"},
    ),
    Bad(
        "architecture params that differ",
        guide(),
        "other_architecture",
        "embsize is 512, but this checkpoint has 32",
        {"embsize": 512},
    ),
    Bad(
        "a path outside the allowed prefixes",
        {"packed": None},
        "path_not_allowed",
        "'/etc/passwd'; this model reads no files for its callers",
        {"input_data_path": "/etc/passwd"},
    ),
    Bad("0 cells", guide([]), "no_cells", "send at least one"),
    Bad(
        "0 cells, packed",
        {"packed": encode_cells(sparse.csr_matrix((0, 10)), SOME)},
        "no_cells",
        "send at least one",
    ),
]


def ask(loaded: PyFuncModel, row: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    answer = loaded.predict(pd.DataFrame([row]), params={"task": "cell_embeddings", **params})
    lines: list[dict[str, Any]] = answer.to_dict("records")
    json.dumps([{k: v for k, v in x.items() if k != "embedding"} for x in lines], allow_nan=False)
    return lines


@pytest.mark.parametrize("bad", LIST, ids=[bad.line for bad in LIST])
def test_each_line_is_refused_with_its_code_and_a_sentence(loaded: PyFuncModel, bad: Bad) -> None:
    with pytest.raises(MlflowException) as refusal:
        ask(loaded, bad.row, **bad.params)
    assert refusal.value.get_http_status_code() == 400
    tag = find_tag(refusal.value.message)
    assert tag is not None
    assert tag[0] == bad.code
    assert bad.words in tag[1]
    assert tag[1].rstrip().endswith((".", "?"))


def test_the_packed_rows_of_a_request_are_bounded_together(loaded: PyFuncModel) -> None:
    row = packed(HEADER, bytes(30 << 20))
    rows = pd.DataFrame({"packed": [row] * 3})
    assert len(row) * 3 < 200_000
    with pytest.raises(MlflowException) as refusal:
        loaded.predict(rows, params={"task": "cell_embeddings"})
    assert refusal.value.get_http_status_code() == 400
    code, words = find_tag(refusal.value.message) or ("", "")
    assert code == "packed_too_large"
    assert "3 packed row(s) of this request hold 94,372,0" in words


@pytest.mark.parametrize(
    ("name", "value"),
    [("embsize", "wide"), ("need_preprocess", "yes"), ("genes", "G1"), ("subset_hvg", False)],
)
def test_a_param_of_a_wrong_type_is_refused_by_mlflow_with_its_name(
    loaded: PyFuncModel, name: str, value: Any
) -> None:
    """MLflow checks types before our code is asked; its code is INVALID_PARAMETER_VALUE as well."""
    with pytest.raises(MlflowException, match=name) as refusal:
        ask(loaded, guide(), **{name: value})
    assert refusal.value.get_http_status_code() == 400


@pytest.mark.parametrize(
    ("counts", "genes", "matched"),
    [
        (COUNTS[:1], SOME, [int((COUNTS[0] > 0).sum())]),
        (np.array([[3.0], [1.0]]), ["G1"], [1, 1]),
        (np.array([[7.0]]), ["G1"], [1]),
        (np.array([[2.0, 1.0], [0.0, 0.0], [5.0, 0.0]]), ["G1", "G2"], [2, 0, 1]),
        (np.zeros((2, 10)), SOME, [0, 0]),
    ],
    ids=["1 cell", "1 gene", "1 cell, 1 gene", "an all-zero cell among others", "only such cells"],
)
def test_the_smallest_input_is_answered_and_an_empty_cell_says_so(
    loaded: PyFuncModel, embedder: Embedder, counts: np.ndarray, genes: list[str], matched: list
) -> None:
    lines = ask(loaded, guide(counts, genes))
    assert [line["matched_genes"] for line in lines] == matched
    lengths = [np.linalg.norm(line["embedding"]) for line in lines]
    np.testing.assert_allclose(lengths, [float(n > 0) for n in matched], atol=1e-6)
    full = np.flatnonzero(matched)
    if len(full):
        alone = embedder.embed_cells(sparse.csr_matrix(counts[full]), genes).embeddings
        np.testing.assert_allclose([lines[i]["embedding"] for i in full], alone, atol=1e-6)


def test_imputed_values_are_answered_when_they_are_meant(loaded: PyFuncModel) -> None:
    assert len(ask(loaded, guide(imputed(3), WIDE), allow_imputed=True)) == 3


def test_imputed_values_have_no_part_in_static_gene_vectors(loaded: PyFuncModel) -> None:
    (line,) = ask(loaded, guide(imputed(3), WIDE), task="gene_embeddings")
    assert list(line["gene_embeddings"]) == GENES


def test_the_guides_frame_is_what_the_table_changes() -> None:
    """The rows above differ from a good request in one thing only."""
    good = guide_frame(sparse.csr_matrix(COUNTS), SOME).iloc[0].to_dict()
    assert {name: good[name] for name in guide()} == guide()
