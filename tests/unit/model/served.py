"""A real HTTP server that answers as a test says, and cells for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import anndata
import numpy as np

from scgpt_databricks.model.client import Endpoint
from scgpt_databricks.model.contract import PACKED
from scgpt_databricks.model.wire.codec import PackedEmbeddings, decode_cells, encode_embeddings
from tests.unit.loopback import JsonHandler, listening

GENES = [f"GENE{i}" for i in range(8)]
DIGEST = "a" * 64
CUT_OFF = 299  # stands for 200 and half of the answer

Answer = tuple[int, dict[str, Any] | list[str] | str]
"""Status, and JSON or a text that is none."""


class Server:
    """Answers `/serving-endpoints/e/invocations`, in turn as one of two served entities, and
    `/serving-endpoints/e/served-models/NAME/invocations`; keeps what it was sent.
    """

    def __init__(self, port: int) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        self.extra: dict[str, str] = {}  # headers of every answer
        self.answer: Callable[[dict[str, Any]], Answer] = embeddings
        self.split: Iterator[str] = cycle(["model-1", "model-2"])
        self.endpoint = Endpoint(
            "e", f"http://127.0.0.1:{port}/", lambda: {"Authorization": "Bearer secret"}
        )


@contextmanager
def running() -> Iterator[Server]:
    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            self.answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": self.path})

        def do_POST(self) -> None:  # noqa: N802 - http.server's name
            sent = self.sent()
            body = json.loads(sent)
            found.raw.append(sent)
            found.requests.append({"path": self.path, **body})
            found.headers.append(dict(self.headers))
            status, answer = found.answer(body)
            payload = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            whole = len(payload)
            if status == CUT_OFF:
                status, payload = 200, payload[: whole // 2]
            self.send_response(status)
            self.send_header("served-model-name", _served(self.path) or next(found.split))
            for name, value in found.extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(whole))
            self.end_headers()
            self.wfile.write(payload)

    with listening(Handler) as port:
        found = Server(port)
        yield found


def _served(path: str) -> str | None:
    found = re.search("/served-models/([^/]+)/", path)
    return found and found[1]


def embeddings(body: dict[str, Any], digest: str = DIGEST, truncated: int = 0) -> Answer:
    """Each cell's vector begins with the sum of its values, so that order can be seen."""
    cells = decode_cells(body["dataframe_split"]["data"][0][0])
    sums = np.asarray(cells.counts.sum(axis=1)).ravel()
    vectors = np.stack([sums, np.ones_like(sums)], axis=1).astype(np.float32)
    packed = encode_embeddings(
        PackedEmbeddings(
            names=list(cells.ids or []),
            embeddings=vectors,
            matched=np.full(len(sums), len(cells.genes)),
            unknown=np.full(len(sums), 2),
            truncated=np.full(len(sums), truncated),
            not_found=[],
            digest=digest,
        ),
        "float32",
    )
    return 200, {"predictions": [{PACKED: packed, "model_digest": digest}]}


def one_by_one(*answers: Answer | None) -> Callable[[dict[str, Any]], Answer]:
    """These answers in turn, then (and for None) the right one."""
    waiting = list(answers)

    def answer(body: dict[str, Any]) -> Answer:
        return (waiting.pop(0) if waiting else None) or embeddings(body)

    return answer


def cells(n: int = 7) -> anndata.AnnData:
    """Cell `i` has one gene with the value `i + 1`."""
    values = np.zeros((n, len(GENES)), np.float32)
    values[np.arange(n), np.arange(n) % len(GENES)] = np.arange(n) + 1
    found = anndata.AnnData(values)
    found.var_names, found.obs_names = GENES, [f"cell{i}" for i in range(n)]
    return found


def untouched(adata: anndata.AnnData) -> bool:
    return not adata.obsm and not adata.uns and adata.obs.shape[1] == 0
