"""The client's own cost, and how well it uses an endpoint that answers several at a time.

The endpoint is a process on loopback that answers 4 requests at a time, each after 0.5 s.
``python -m benchmarks.client`` prints both figures; it needs no checkpoint.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict

import requests
from anndata import AnnData, concat

from benchmarks.figures import ROOT, Figure, seconds
from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import decode_embeddings, encode_cells

AT_A_TIME, ANSWER_S, CHUNK = 4, 0.5, 100
REQUESTS, ALONE = 280, 70  # the first goes alone, the next in pairs: that second is part of it


def figures() -> list[Figure]:
    """Cells per second: alone and side by side; by the client, and by prepared requests."""
    cells = concat([_others(number) for number in range(CHUNK * REQUESTS // 700)], index_unique="-")
    some = cells[: CHUNK * ALONE].copy()
    with slow_endpoint() as endpoint:
        bodies = _bodies(cells)
        rates = {
            "alone": some.n_obs / seconds(lambda: embed(some, endpoint, concurrency=1)),
            "together": cells.n_obs / seconds(lambda: embed(cells, endpoint)),
            "raw": cells.n_obs / seconds(lambda: _raw(endpoint, bodies)),
        }
    kind = f"{cells.n_obs:,} cells; {AT_A_TIME} requests at a time, {ANSWER_S} s each"
    alone = f"{kind}; one at a time {some.n_obs:,} cells"
    return [
        _figure("client_concurrency", rates["together"], rates["alone"], ">= 3.5", alone),
        _figure("client_vs_raw_http", rates["together"], rates["raw"], ">= 0.95", kind),
    ]


def _figure(name: str, ours: float, reference: float, goal: str, kind: str) -> Figure:
    return Figure(name, ours, reference, ours / reference, "cells/s", "none", goal, kind)


def _others(number: int) -> AnnData:
    """Return the 700 PBMC cells with other counts: a cell that is known is not asked for again."""
    cells = pbmc_cells()
    cells.X.data += number
    return cells


def _bodies(cells: AnnData) -> list[bytes]:
    genes = list(cells.var_names)
    rows = [
        encode_cells(cells.X[start : start + CHUNK], genes)
        for start in range(0, cells.n_obs, CHUNK)
    ]
    return [
        json.dumps(
            {
                "dataframe_split": {"columns": ["packed"], "data": [[row]]},
                "params": {"response_format": "float32"},
            }
        ).encode()
        for row in rows
    ]


def _raw(endpoint: Endpoint, bodies: list[bytes]) -> None:
    """Post prepared requests, as many at a time as are answered; take the answers apart."""
    session = requests.Session()

    def post(body: bytes) -> None:
        answer = session.post(endpoint.url, data=body, timeout=60)
        decode_embeddings(answer.json()["predictions"][0]["packed"])

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(post, bodies))


@contextmanager
def slow_endpoint() -> Iterator[Endpoint]:
    """The endpoint, for as long as the block lasts."""
    command = (sys.executable, "-m", "benchmarks.slow_endpoint")
    arguments = (str(AT_A_TIME), str(ANSWER_S))
    with subprocess.Popen(
        (*command, *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Endpoint("e", f"http://127.0.0.1:{port}", dict)
        finally:
            process.kill()


if __name__ == "__main__":
    print(json.dumps([asdict(figure) for figure in figures()], indent=2))
