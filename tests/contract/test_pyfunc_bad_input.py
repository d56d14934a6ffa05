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
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from scgpt_databricks.model.wire.codec import encode_cells
from tests.contract.asking import CELLS, COUNTS, GOOD, PACKED, SOME, code_of, send
from tests.contract.conftest import Server


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
    "not_finite": [
        matrix(dense(float("nan"))),
        matrix(dense(float("inf"))),
        matrix(dense(1e300)),
        matrix([[10**400] * 10]),
    ],
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
        ("hvg_not_available", {"subset_hvg": 3}),
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
    monkeypatch.setattr("scgpt_databricks.model.contract.MAX_JSON_GENES", 5)
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


@pytest.mark.parametrize("task", [None, "gene_embeddings"])
def test_without_a_named_gene_the_whole_table_must_be_asked_for(
    server: Server, task: str | None
) -> None:
    cells_alone, params = {"adata_obs": GOOD["adata_obs"]}, {"task": task} if task else {}
    assert code_of(send(server, cells_alone, params)) == "no_gene_names"
    for asked in ({"genes": ["G1"]}, {"need_preprocess": False}):
        assert send(server, cells_alone, {**params, **asked}).status_code == 200
