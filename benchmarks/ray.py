"""The Ray path at whole-human size: against the engine, against MLflow's own server, and itself.

A registry in a file, a Ray cluster and ``mlflow models serve`` are started and ended here. One
client on the same machine sends all requests, so its work is in every figure.
``python -m benchmarks.ray`` prints the figures.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import ray
import requests
from ray import serve

from benchmarks.figures import CELLS, ROOT, Figure, cells, seconds
from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.build import importable, ship_engine
from scgpt_databricks.model.ray import Settings, deployment_from_model_name
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells

MODEL, VERSION = "scgpt", "serve_multiplexed_model_id"
RUNS, AT_A_TIME, HALF, ONE_CELL, MIXED = 3, 4, CELLS // 2, 64, 100
SIZE = "whole-human size"


@dataclass(frozen=True)
class Place:
    """Addresses of the servers of one run: with batches, without, and room for one version."""

    batched: str
    single: str
    narrow: str
    variables: dict[str, str]


def figures(human: Path) -> list[Figure]:
    """All figures of the Ray path."""
    with cluster(human) as place:
        body = _one_cell_each()[0]
        cold = [_post_seconds(place.narrow, body, version) for version in ("2", "1", "2")]
        started = time.perf_counter()
        with mlflow_server(place) as other:
            _post(other, body)
            start = time.perf_counter() - started
            return [
                _at_saturation(place, human),
                _against_mlflow(place, other),
                _batching(place),
                _mixed(place),
                _cold(cold, start),
            ]


def _at_saturation(place: Place, human: Path) -> Figure:
    """Several requests at a time, and the engine on the same cells."""
    counts, genes = cells()
    counts = counts[:HALF]
    embedder = Embedder.load(human, device="cpu")
    body = _body(counts, genes)
    served, alone = _in_turns(
        lambda: _post_all(place.batched, [body] * AT_A_TIME, AT_A_TIME),
        lambda: [embedder.embed_cells(counts, genes) for _ in range(AT_A_TIME)],
    )
    note = f"{AT_A_TIME} requests at a time, {HALF} cells each"
    return _rate("ray_vs_in_process", served, alone, AT_A_TIME * HALF, "cells/s", ">= 0.9", note)


def _against_mlflow(place: Place, other: str) -> Figure:
    bodies = _one_cell_each()
    ours, theirs = _in_turns(
        lambda: _post_all(place.batched, bodies, ONE_CELL),
        lambda: _post_all(other, bodies, ONE_CELL),
    )
    note = f"{ONE_CELL} requests of one cell at a time"
    return _rate("ray_vs_mlflow_server", ours, theirs, ONE_CELL, "req/s", "> 1", note)


def _batching(place: Place) -> Figure:
    bodies = _one_cell_each()
    ours, theirs = _in_turns(
        lambda: _post_all(place.batched, bodies, ONE_CELL),
        lambda: _post_all(place.single, bodies, ONE_CELL),
    )
    note = f"{ONE_CELL} requests of one cell at a time; the reference has no batches"
    return _rate("batching_gain", ours, theirs, ONE_CELL, "req/s", ">= 1", note)


def _mixed(place: Place) -> Figure:
    """The 99th percentile over two versions in turn, and over one of them."""
    bodies = _one_cell_each()

    def p99(versions: Sequence[str]) -> float:
        asked = [(bodies[i % ONE_CELL], versions[i % len(versions)]) for i in range(MIXED)]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            taken = list(pool.map(lambda each: _post_seconds(place.batched, *each), asked))
        return float(np.percentile(taken, 99)) * 1e3

    _post(place.batched, bodies[0], "2")  # it is loaded
    pairs = [(p99(["1", "2"]), p99(["1"])) for _ in range(2)]
    mixed, one = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(m / o for m, o in pairs)
    note = f"99th percentile of {MIXED} requests of one cell, {AT_A_TIME} at a time"
    return Figure("ray_mixed_versions_p99", mixed, one, ratio, "ms", SIZE, "none", note)


def _cold(ours: list[float], start: float) -> Figure:
    """First answers of a version that is not loaded, and a start of ``mlflow models serve``."""
    mine = statistics.median(ours)
    note = "from the request to the answer; the reference starts, and answers its first request"
    return Figure("ray_cold_version", mine, start, start / mine, "s", SIZE, "none", note)


def _in_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any]
) -> tuple[list[float], list[float]]:
    """Return the seconds of each, warmed up first."""
    found: tuple[list[float], list[float]] = ([], [])
    for run in range(RUNS + 1):
        pair = seconds(ours), seconds(theirs)
        if run:
            found[0].append(pair[0])
            found[1].append(pair[1])
    return found


def _rate(
    name: str,
    ours: list[float],
    theirs: list[float],
    work: int,
    unit: str,
    goal: str,
    note: str,
) -> Figure:
    ratio = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    rates = (work / statistics.median(each) for each in (ours, theirs))
    return Figure(name, *rates, ratio, unit, SIZE, goal, note)


def _body(counts: Any, genes: list[str]) -> bytes:
    params = {"task": "cell_embeddings", "response_format": "float16"}
    rows = [{"packed": encode_cells(counts, genes)}]
    return json.dumps({"dataframe_records": rows, "params": params}).encode()


def _one_cell_each() -> list[bytes]:
    counts, genes = cells()
    return [_body(counts[i % CELLS], genes) for i in range(ONE_CELL)]


def _post_all(url: str, bodies: Sequence[bytes], at_a_time: int) -> None:
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda body: _post(url, body), bodies))


def _post(url: str, body: bytes, version: str | None = None) -> None:
    headers = {"Content-Type": "application/json"}
    if version is not None:
        headers[VERSION] = version
    requests.post(url, data=body, headers=headers, timeout=600).raise_for_status()


def _post_seconds(url: str, body: bytes, version: str) -> float:
    return seconds(lambda: _post(url, body, version))


@contextmanager
def cluster(human: Path) -> Iterator[Place]:
    """Two versions of a checkpoint, served by Ray three times over."""
    with tempfile.TemporaryDirectory(prefix="bench-ray-") as folder, _registry(Path(folder)) as uri:
        _register(human, Path(folder))
        ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        try:
            port = free_port()
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            urls = {}
            kinds = {"batched": {}, "single": {"batch_tokens": 0}, "narrow": {"max_models": 1}}
            for name, chosen in kinds.items():
                deployment = deployment_from_model_name(
                    MODEL,
                    "1",
                    settings=Settings(**chosen),
                    ray_actor_options={"num_cpus": 0.1},
                )
                serve.run(deployment.bind(), name=name, route_prefix=f"/{name}")
                urls[name] = f"http://127.0.0.1:{port}/{name}/serve"
            yield Place(**urls, variables={"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri})
        finally:
            serve.shutdown()
            ray.shutdown()


@contextmanager
def _registry(folder: Path) -> Iterator[str]:
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("bench", (folder / "artifacts").as_uri())
    )
    try:
        yield uri
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


def _register(human: Path, folder: Path) -> None:
    entry = ship_engine(folder)
    with importable(folder / "code"):
        logged = mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=str(entry),
            artifacts={"checkpoint": str(human.resolve())},
            code_paths=[str(package) for package in (folder / "code").iterdir()],
            signature=pyfunc.signature(),
            pip_requirements=["mlflow"],
            model_config={"device": "cpu"},
            registered_model_name=MODEL,
        )
    mlflow.register_model(logged.model_uri, MODEL)


@contextmanager
def mlflow_server(place: Place) -> Iterator[str]:
    """``mlflow models serve`` of version 1, for as long as the block lasts."""
    port, tools = free_port(), Path(sys.executable).parent
    command = [str(tools / "mlflow"), "models", "serve"]
    options = ["-m", f"models:/{MODEL}/1", "--env-manager", "local", "--port", str(port)]
    server = subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, **place.variables, "PATH": f"{tools}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_up(f"{url}/ping"):
            if server.poll() is not None:
                raise RuntimeError("mlflow models serve ended before it answered")
            time.sleep(0.1)
        yield f"{url}/invocations"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _is_up(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    from benchmarks.checkpoints import whole_human

    human_size = whole_human(ROOT / ".local" / "bench" / "human", cells()[1])
    print(json.dumps([asdict(figure) for figure in figures(human_size)], indent=2))
