"""Odd numbers and odd bodies: one rule in every form, and the failures of MLflow's own parser."""

from __future__ import annotations

import base64
import copy
import io
import json
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from scipy import sparse

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import decode_cells, encode_cells
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES

CELLS = {"task": "cell_embeddings"}
VAR = json.dumps(json.dumps({"columns": [], "index": GENES[:3], "data": []}))


def body(matrix: str) -> str:
    data = f'"columns": ["adata_sparsematrix", "adata_var"], "data": [[{matrix}, {VAR}]]'
    return f'{{"dataframe_split": {{{data}}}, "params": {json.dumps(CELLS)}}}'


@pytest.mark.parametrize(
    ("number", "means"), [("true", 1.0), (str(2**64), 2.0**64), ("-1e-50", 0.0), ("1e-50", 0.0)]
)
def test_a_number_means_the_same_in_every_form(
    server: Server, loaded: PyFuncModel, embedder: Embedder, number: str, means: float
) -> None:
    plain = np.array([[means, 2, 3], [4, 5, 6]])
    wanted = embedder.embed_cells(plain, GENES[:3]).embeddings
    answer = server.post("/invocations", data=body(f"[[{number}, 2, 3], [4, 5, 6]]"))
    got = [row["embedding"] for row in answer.json()["predictions"]]
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    given = np.array([[json.loads(number), 2, 3], [4, 5, 6]], np.float64)
    direct = embedder.embed_cells(given, GENES[:3]).embeddings
    np.testing.assert_allclose(direct, wanted, atol=1e-6)
    counts = decode_cells(encode_cells(sparse.csr_matrix(given), GENES[:3])).counts
    packed = embedder.embed_cells(counts, GENES[:3]).embeddings
    np.testing.assert_allclose(packed, wanted, atol=1e-6)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e39", "NaN"])
def test_what_no_float32_holds_is_not_finite(server: Server, number: str) -> None:
    answer = server.post("/invocations", data=body(f"[[{number}, 2, 3], [4, 5, 6]]"))
    assert answer.status_code == 400
    assert "[not_finite]" in answer.json()["message"]


@pytest.mark.parametrize("kind", [">f4", ">f8", ">i4", ">u2"])
def test_arrays_of_another_byte_order_are_read(
    loaded: PyFuncModel, embedder: Embedder, kind: str
) -> None:
    values = np.array([[1, 2, 3], [0, 5, 6]])
    wanted = embedder.embed_cells(values, GENES[:3]).embeddings
    odd = sparse.csr_matrix(values.astype(np.float32))
    odd.data = odd.data.astype(kind)
    odd.indices, odd.indptr = odd.indices.astype(">i4"), odd.indptr.astype(">i4")
    sent: tuple[Any, ...] = (values.astype(kind), odd)
    for matrix in sent:
        found = embedder.embed_cells(matrix, GENES[:3]).embeddings
        np.testing.assert_array_equal(found, wanted)
        frame = pyfunc.guide_frame(sparse.csr_matrix(values), GENES[:3])
        frame.at[0, "adata_sparsematrix"] = matrix
        rows = loaded.predict(frame, params=CELLS)
        np.testing.assert_allclose(np.stack(rows["embedding"]), wanted, atol=1e-6)


def test_reserved_bytes_of_the_envelope_are_zero(loaded: PyFuncModel) -> None:
    raw = bytearray(base64.b64decode(encode_cells(sparse.csr_matrix([[1.0]]), ["G1"])))
    raw[7] = 1
    text = base64.b64encode(bytes(raw)).decode()
    with pytest.raises(InvalidRequest, match="bytes 6 and 7"):
        decode_cells(text)
    with pytest.raises(MlflowException, match=r"\[packed_version\]"):
        loaded.predict(pd.DataFrame({"packed": [text]}))


def named(columns: str) -> str:
    return f'{{"dataframe_split": {{"columns": {columns}, "data": [["x", 1]]}}}}'


PARSER_FAILS = {
    "columns that are objects": '{"dataframe_split": {"columns": [{}], "data": [[1]]}}',
    "a column that is a list in a list": named('["packed", [[1]]]'),
    "a column that is a list with null": named('["packed", [null]]'),
    "990 brackets": body("[" * 990 + "]" * 990),
    "200,000 brackets": "[" * 200_000,
    "5,000 digits": body("[[" + "1" * 5000 + ", 2, 3]]"),
}


@pytest.mark.parametrize("what", PARSER_FAILS)
def test_what_the_parser_of_mlflow_does_not_survive(server: Server, what: str) -> None:
    """It fails before the model is called; ``docs/wire-format.md`` lists these cases."""
    assert server.post("/invocations", data=PARSER_FAILS[what]).status_code == 500


ODD: tuple[Any, ...] = (
    *(None, True, -1, 1e308, 2**53 + 1, 2**64, 10**30, float("nan"), float("inf"), "", "\ud800"),
    *("\x00", "1" * 50, [], [[]], [None], [[1], [2, 3]], {"": 0}, [[[[[1]]]]], "[1]", "{}"),
)
"""Values put in the place of others."""
BODY = json.loads(body("[[1, 2, 3]]"))
_NAMES = "columns"


def mutated(value: Any, rng: random.Random, depth: int = 0) -> Any:
    """The same with one part put in another's place, taken out, doubled or added."""
    if rng.random() < 0.25 or depth > 4 or not isinstance(value, list | dict) or not value:
        return rng.choice(ODD)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, way, copied = rng.choice(keys), rng.random(), copy.copy(value)
    if way < 0.15:
        del copied[key]
    elif way < 0.3 and isinstance(copied, dict):
        copied[rng.choice(["x", "index", "data", "params", "inputs", "dataframe_records"])] = (
            rng.choice(ODD)
        )
    elif way < 0.3:
        copied.append(rng.choice(ODD))
    elif key != _NAMES:  # what may not stand there is listed above
        copied[key] = mutated(value[key], rng, depth + 1)
    return copied


def test_mutated_requests_are_answered_or_refused(server: Server) -> None:
    rng = random.Random(29)
    found = []
    for _ in range(120):
        sent = json.dumps(mutated(BODY, rng))
        status = server.post("/invocations", data=sent).status_code
        if status not in (200, 400):
            found.append((status, sent))
    assert found == []


def test_parquet_is_a_form_of_the_packed_column(server: Server) -> None:
    """MLflow's server takes its own format for tables, too, and the same rules hold."""
    counts = sparse.csr_matrix(np.ones((2, 3), np.float32))
    packed = encode_cells(counts, GENES[:3])
    for text, status in ((packed, 200), ("no base64", 400)):
        table = io.BytesIO()
        pd.DataFrame({"packed": [text]}).to_parquet(table)
        answer = requests.post(
            f"{server.url}/invocations",
            data=table.getvalue(),
            headers={"Content-Type": "application/vnd.apache.parquet"},
            timeout=60,
        )
        assert answer.status_code == status, answer.text
