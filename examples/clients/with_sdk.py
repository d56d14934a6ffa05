"""Ask an endpoint with databricks-sdk, which knows every way to log in.

    eval "$(scgpt env local)"
    python -m examples.clients.with_sdk scgpt-serving

``serving_endpoints.query`` has no place for a model's params. What needs none asks by it; what
needs some asks by the client's own transport.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.serving import DataframeSplitInput
from scipy import sparse

from scgpt_databricks.model.wire.codec import encode_cells

REQUEST = Path(__file__).with_name("request.json")


def main() -> None:
    name, client = sys.argv[1], WorkspaceClient()
    body = json.loads(REQUEST.read_text())

    # With params: the guide's form, whose task has to be named to get the embeddings of cells.
    path = f"/serving-endpoints/{name}/invocations"
    answer: Any = client.api_client.do("POST", path, body=body)
    _show(answer["predictions"])

    # Without: the packed form, whose task is the embeddings of cells.
    counts, obs, var = body["dataframe_split"]["data"][0]
    genes, cells = json.loads(var)["index"], json.loads(obs)["index"]
    packed = encode_cells(sparse.csr_matrix(counts, dtype="float32"), genes, cells)
    split = DataframeSplitInput(columns=["packed"], data=[[packed]])
    _show(client.serving_endpoints.query(name, dataframe_split=split).predictions or [])


def _show(lines: list[Any]) -> None:
    for line in lines:
        print(line["id"], len(line["embedding"]), line["model_digest"][:12])


if __name__ == "__main__":
    main()
