"""Requests that MLflow's server is sent, and the code of its refusal."""

from __future__ import annotations

import json
from typing import Any

import requests
from scipy import sparse

from scgpt_databricks.model.errors import find_tag
from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.wire.codec import encode_cells
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
