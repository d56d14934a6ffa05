"""Whatever callers send, MLflow's server answers 4xx with a code; never 500, never NaN."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from scipy import sparse

from model.codec import encode_cells
from model.errors import find_tag
from model.pyfunc import guide_frame
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(4, 10, seed=5))
SOME = GENES[:10]
GOOD = guide_frame(COUNTS, SOME).iloc[0].to_dict()
PACKED = encode_cells(COUNTS, SOME)
CELLS = {"task": "cell_embeddings"}


def send(server: Server, columns: dict[str, Any], params: Any = None) -> requests.Response:
    body = {"dataframe_split": {"columns": list(columns), "data": [list(columns.values())]}}
    return server.post("/invocations", data=json.dumps({**body, "params": params or {}}))


def code_of(answer: requests.Response) -> str:
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["error_code"] == "INVALID_PARAMETER_VALUE"
    tag = find_tag(body["message"])
    assert tag is not None, body
    return tag[0]


def bomb() -> str:
    """100 MiB of zeros behind an envelope that claims ten bytes."""
    envelope = struct.pack("<4sBBHI", b"SCGP", 1, 1, 0, 10)
    return base64.b64encode(envelope + zlib.compress(bytes(100 << 20))).decode()


def envelope(**change: int) -> str:
    fields = {"version": 1, "kind": 1, "reserved": 0, "length": 0} | change
    return base64.b64encode(struct.pack("<4sBBHI", b"SCGP", *fields.values())).decode()


def matrix(value: Any) -> dict[str, Any]:
    return {"adata_sparsematrix": value, "adata_var": GOOD["adata_var"]}


def dense(value: float) -> list[list[float]]:
    counts = COUNTS.toarray().astype(float)
    counts[0, 0] = value
    return counts.tolist()


BAD_COLUMNS = {
    "not_finite": [matrix(dense(float("nan"))), matrix(dense(float("inf"))), matrix(dense(1e300))],
    "negative_values": [matrix(dense(-0.5))],
    "no_known_gene": [
        {**GOOD, "adata_var": pd.DataFrame(index=[f"X{i}" for i in SOME]).to_json(orient="split")},
    ],
    "duplicate_genes": [
        {**GOOD, "adata_var": json.dumps({"index": ["G1"] * 10, "columns": [], "data": []})}
    ],
    "invalid_gene_name": [
        {**GOOD, "adata_var": json.dumps({"index": list(range(10)), "columns": [], "data": []})},
        {**GOOD, "adata_var": json.dumps({"index": [None, *(f"X{i}" for i in range(9))]})},
        {**GOOD, "adata_var": json.dumps({"index": [["a", "b"]] * 10})},
    ],
    "invalid_text": [
        {**GOOD, "adata_var": json.dumps({"index": ["\ud800", *SOME[1:]]})},
        {**GOOD, "adata_obs": json.dumps({"index": ["a", "b", "\udfff", "d"]})},
    ],
    "gene_count_mismatch": [matrix(COUNTS.toarray()[:, :5].tolist()), matrix([[]])],
    "no_gene_names": [{k: v for k, v in GOOD.items() if k != "adata_var"}],
    "invalid_table": [
        {**GOOD, "adata_var": "no json"},
        {**GOOD, "adata_var": "[" * 100_000},
        {**GOOD, "adata_var": 3},
        {**GOOD, "adata_obs": "{}"},
        {**GOOD, "adata_obs": json.dumps({"index": [1, 2], "columns": ["batch"], "data": [[1]]})},
    ],
    "cell_count_mismatch": [{**GOOD, "adata_obs": json.dumps({"index": ["a"]})}],
    "invalid_matrix": [
        matrix([[1, 2], [3]]),
        matrix([["a"] * 10]),
        matrix([["1"] * 10]),
        matrix([[None] * 10]),
        matrix([[True] * 10]),
        matrix([[10**400] * 10]),
        matrix("no matrix"),
        matrix(7),
        matrix({"a": 1}),
        matrix([1, 2, 3]),
    ],
    "no_cells": [matrix([]), matrix(np.zeros((0, 10)).tolist())],
    "two_forms": [{**GOOD, "packed": PACKED}],
    "no_form": [{"packed": None}, dict.fromkeys(GOOD)],
    "packed_base64": [{"packed": "not base64!"}, {"packed": "ä"}],
    "packed_magic": [{"packed": ""}, {"packed": base64.b64encode(b"PK\3\4" * 9).decode()}],
    "packed_version": [{"packed": envelope(version=9)}],
    "packed_kind": [{"packed": envelope(kind=2)}],
    "packed_damaged": [{"packed": envelope() + "AAAA"}],
    "packed_length": [{"packed": bomb()}, {"packed": envelope()}],
    "packed_too_large": [{"packed": envelope(length=2**32 - 1)}],
}


@pytest.mark.parametrize(
    ("code", "columns"), [(code, columns) for code, many in BAD_COLUMNS.items() for columns in many]
)
def test_bad_columns(server: Server, code: str, columns: dict[str, Any]) -> None:
    assert code_of(send(server, columns, CELLS)) == code


@pytest.mark.parametrize(
    ("code", "params"),
    [
        ("unknown_param", {"tsak": "cell_embeddings"}),
        ("unknown_param", {"task": "cell_embeddings", "batchsize": 3, "x": None}),
        ("invalid_param", {"task": "cells"}),
        ("invalid_param", {"ties": "random"}),
        ("invalid_param", {"group_by": "type", **CELLS}),
        ("invalid_param", {"genes": ["G1"], **CELLS}),
        ("invalid_param", {"gene_limit": 3, **CELLS}),
        ("invalid_text", {"genes": ["G1", "\ud800"]}),
        ("invalid_text", {"input_data_path": "/Volumes/\ud800"}),
        ("invalid_param", {"response_format": "float64"}),
        ("invalid_param", {"hvg_flavor": "mine"}),
        ("invalid_param", {"use_key": "counts"}),
        ("invalid_param", {"gene_offset": -1}),
        ("invalid_param", {"normalize_total": float("nan")}),
        ("invalid_param", {"max_length": 10**6, **CELLS}),
        ("invalid_param", {"max_length": -5}),
        ("invalid_param", {"max_length": 100}),
        ("invalid_param", {"ties": "spread"}),
        ("invalid_param", {"seed": 1}),
        ("invalid_param", {"allow_imputed": True}),
        ("invalid_param", {"hvg_flavor": "seurat", **CELLS}),
        ("invalid_param", {"genes": ["G1"], "subset_hvg": 5}),
        ("invalid_param", {"genes": ["G1"], "filter_gene_by_counts": 3}),
        ("invalid_param", {"genes": ["G1"], "min_known_fraction": 0.1}),
        ("invalid_param", {"need_preprocess": False, "filter_gene_by_counts": 3}),
        ("invalid_param", {"need_preprocess": False, "subset_hvg": 3, **CELLS}),
        ("other_architecture", {"embsize": 512}),
        ("other_architecture", {"nhead": 8}),
        ("other_architecture", {"ntokens": 60697}),
        ("other_architecture", {"binning": 101}),
        ("path_not_allowed", {"input_data_path": "/etc/passwd"}),
        ("path_not_allowed", {"input_data_path": "/Volumes/main/x/y.h5ad"}),
        ("no_genes", {"gene_offset": 10**9}),
        ("duplicate_genes", {"genes": ["G1", "G1"]}),
        ("no_known_gene", {"genes": ["nowhere"]}),
        ("nothing_left", {"filter_gene_by_counts": 10**9}),
        ("nothing_left", {"min_counts_per_cell": 1e12, **CELLS}),
        ("hvg_failed", {"subset_hvg": 3}),
    ],
)
def test_bad_params(server: Server, code: str, params: dict[str, Any]) -> None:
    assert code_of(send(server, GOOD, params)) == code


@pytest.mark.parametrize(
    "params",
    [
        {"embsize": "512"},
        {"need_preprocess": "yes"},
        {"subset_hvg": False},
        {"ties": 3},
        {"genes": "G1"},
        {"genes": [1]},
        {"seed": 1.5},
        ["a list"],
        "a string",
    ],
)
def test_params_of_a_wrong_type_are_refused_by_mlflow(server: Server, params: Any) -> None:
    assert send(server, GOOD, params).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"params": {}}',
        '{"dataframe_split": 3}',
        '{"dataframe_split": {"columns": ["packed"], "data": []}}',
        '{"dataframe_split": {"data": [[1]]}}',
        '{"dataframe_split": {"columns": ["packed"], "data": [[1]]}}',
        '{"dataframe_split": {"columns": ["packed", "packed"], "data": [["a", "b"]]}}',
        '{"dataframe_split": {"columns": ["other"], "data": [["a"]]}}',
        '{"dataframe_split": {"columns": ["packed"], "data": [["a", "b"]]}}',
        '{"dataframe_records": [{"packed": {"a": 1}}]}',
        '{"dataframe_records": []}',
        '{"dataframe_records": [3]}',
        '{"instances": [{"packed": "a"}]}',
        '{"inputs": {"packed": ["a"]}}',
        '{"inputs": [[1, 2]]}',
    ],
)
def test_malformed_bodies(server: Server, body: str) -> None:
    answer = server.post("/invocations", data=body)
    assert answer.status_code == 400, answer.text


def test_half_a_character_in_a_packed_request(server: Server) -> None:
    body = zlib.decompress(base64.b64decode(encode_cells(COUNTS, SOME, list("abcd")))[12:])
    body = body.replace(b'"a"', b'"\\ud800"')
    (head,) = struct.unpack_from("<I", body)
    body = struct.pack("<I", head + 5) + body[4:]
    envelope = struct.pack("<4sBBHI", b"SCGP", 1, 1, 0, len(body))
    sent = base64.b64encode(envelope + zlib.compress(body)).decode()
    assert code_of(send(server, {"packed": sent}, CELLS)) == "invalid_text"


def test_rows_of_two_forms_and_rows_without_any(server: Server) -> None:
    records = [GOOD, {"packed": PACKED}]
    answer = server.post("/invocations", json={"dataframe_records": records})
    assert code_of(answer) == "two_forms"
    records = [{"packed": PACKED}, {"packed": None}]
    answer = server.post("/invocations", json={"dataframe_records": records})
    assert code_of(answer) == "no_form"


def test_too_many_gene_vectors_for_json(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.contract.MAX_JSON_GENES", 5)
    assert code_of(send(server, GOOD)) == "too_many_genes"


@pytest.mark.parametrize("name", ["task", "adata_obss"])
@pytest.mark.parametrize("form", [GOOD, {"packed": PACKED}], ids=["guide", "packed"])
def test_a_column_that_mlflow_would_drop(server: Server, form: dict[str, Any], name: str) -> None:
    answer = send(server, {**form, name: "cell_embeddings"}, CELLS)
    assert code_of(answer) == "unknown_column"
    assert f"'{name}': no such column" in answer.json()["message"]


def test_another_models_unknown_columns_are_left_to_mlflow(loaded: PyFuncModel) -> None:
    from mlflow.models.utils import _enforce_schema
    from mlflow.types.schema import ColSpec, DataType, Schema

    other = Schema([ColSpec(DataType.string, "prompt")])
    kept = _enforce_schema(pd.DataFrame({"prompt": ["a"], "task": ["b"]}), other)
    assert list(kept) == ["prompt"]


def test_unknown_params_are_refused_in_notebooks_too(loaded: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match=r"\[unknown_param\] tsak"):
        loaded.predict(pd.DataFrame([GOOD]), params={"tsak": "x"})


def test_another_models_unknown_params_are_left_to_mlflow(
    loaded: PyFuncModel, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.models.utils import _enforce_params_schema
    from mlflow.types import ParamSchema, ParamSpec

    other = ParamSchema([ParamSpec("seed", "long", 0)])
    assert _enforce_params_schema({"tsak": 1}, other) == {"seed": 0}


@pytest.mark.parametrize("cells", [1, 3])
def test_one_cell_one_gene_and_an_empty_cell(server: Server, cells: int) -> None:
    counts = sparse.csr_matrix(np.eye(cells, 1, dtype=np.float32))
    answer = send(server, guide_frame(counts, ["G4"]).iloc[0].to_dict(), CELLS)
    rows = answer.json()["predictions"]
    assert [row["matched_genes"] for row in rows] == [1, 0, 0][:cells]
    assert np.linalg.norm(rows[0]["embedding"]) == pytest.approx(1)
    assert all(not any(row["embedding"]) for row in rows[1:])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([*GOOD, "packed"]),
    value=json_values,
    params=st.dictionaries(
        st.sampled_from(["task", "genes", "seed", "subset_hvg", "max_length", "log1p"]),
        json_values,
        max_size=2,
    ),
)
def test_no_value_in_any_column_or_param_breaks_the_server(
    server: Server, name: str, value: Any, params: dict[str, Any]
) -> None:
    answer = send(server, {**GOOD, name: value}, params)
    assert answer.status_code in (200, 400)
    json.loads(
        answer.text, parse_constant=lambda constant: pytest.fail(f"{constant} in the answer")
    )


def named(genes: list[str], ids: list[str] | None = None) -> dict[str, Any]:
    obs = pd.DataFrame(index=ids or list(map(str, range(4))))
    return {
        "adata_sparsematrix": COUNTS.toarray().tolist(),
        "adata_obs": obs.to_json(orient="split"),
        "adata_var": pd.DataFrame(index=genes).to_json(orient="split"),
    }


@pytest.mark.parametrize(
    ("genes", "ids", "words"),
    [
        ([f"Cd{i}a" for i in range(10)], None, "mouse"),
        ([f"ENSG{i:011}" for i in range(10)], None, "Ensembl"),
        ([f"c{i}" for i in range(10)], SOME[:4], "transposed"),
        ([*SOME[:1], *(f"Cd{i}a" for i in range(9))], None, "mouse"),
    ],
)
@pytest.mark.parametrize("params", [CELLS, {}])
def test_other_genes_are_refused_with_the_likely_cause(
    server: Server, genes: list[str], ids: list[str] | None, words: str, params: dict[str, Any]
) -> None:
    answer = send(server, named(genes, ids), params)
    assert code_of(answer) in ("no_known_gene", "too_few_known_genes")
    assert words in answer.json()["message"]


def test_the_threshold_of_known_counts_is_a_param(server: Server) -> None:
    few = named([*SOME[:1], *(f"X{i}" for i in range(9))])
    assert code_of(send(server, few, CELLS)) == "too_few_known_genes"
    assert send(server, few, {**CELLS, "min_known_fraction": 0.01}).status_code == 200
    assert code_of(send(server, few, {"min_known_fraction": 1.5})) == "invalid_param"
    none = named([f"X{i}" for i in range(10)])
    answer = send(server, none, {**CELLS, "min_known_fraction": 0.0})
    assert [row["matched_genes"] for row in answer.json()["predictions"]] == [0] * 4


@pytest.mark.parametrize("task", ["cell_embeddings", "contextual_gene_embeddings"])
def test_filters_that_leave_only_unknown_genes(server: Server, task: str) -> None:
    counts = sparse.csr_matrix(np.array([[1, 1, 1, 4, 4], [1, 1, 1, 4, 4]], np.float32))
    sent = {"packed": encode_cells(counts, ["G1", "G2", "G3", "u1", "u2"])}
    params = {"task": task, "min_known_fraction": 0.1}
    assert send(server, sent, params).status_code == 200
    answer = send(server, sent, {**params, "filter_gene_by_counts": 5})
    assert code_of(answer) == "no_known_gene"
    assert "after filter_gene_by_counts=5: 2 of 5 genes kept" in answer.json()["message"]
    off = {**params, "filter_gene_by_counts": 5, "min_known_fraction": 0.0}
    assert send(server, sent, off).status_code == 200


def test_a_request_of_empty_cells_is_answered_with_flagged_rows(server: Server) -> None:
    empty = encode_cells(sparse.csr_matrix((2, 12), dtype=np.float32), [*SOME, "X1", "X2"])
    answer = send(server, {"packed": empty}, CELLS)
    assert [row["matched_genes"] for row in answer.json()["predictions"]] == [0, 0]
