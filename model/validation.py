"""Ask a logged model, in memory and over HTTP, and compare with the answer that it must give.

Run as a script, in a process and a folder of its own: it imports MLflow, numpy and requests, never
this package, so that a model which only works beside the repository is found out. Arguments: the
model's folder, the expected embeddings (``.npy``), the request bodies (``.json``: name -> body).
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import requests
from mlflow.pyfunc import scoring_server

TOLERANCE = 1e-6
START_LIMIT_S = 600  # where other work shares the cores; a process that ended is told at once
_ENGINE = re.compile(r"scgpt_engine_[0-9a-f]+")


def main(model: str, expected_file: str, payload_file: str) -> None:
    """Exit with a sentence when an answer differs."""
    expected = np.load(expected_file)
    payloads: dict[str, dict[str, Any]] = json.loads(Path(payload_file).read_text())
    loaded = mlflow.pyfunc.load_model(model)
    _comes_from(model)
    for name, payload in payloads.items():
        frame = scoring_server.infer_and_parse_data(
            {key: value for key, value in payload.items() if key != "params"}
        )
        answer = loaded.predict(frame, params=payload.get("params"))
        _compare(f"{name}, in memory", answer.to_dict("records"), expected)
    _ask_over_http(model, payloads, expected)


def _comes_from(model: str) -> None:
    """The engine must be the copy inside the model."""
    engines = [str(m.__file__) for name, m in sys.modules.items() if _ENGINE.fullmatch(name)]
    for engine in engines:
        if Path(model).resolve() not in Path(engine).resolve().parents:
            sys.exit(f"the model imported its engine from {engine}, outside the logged model")
    if not engines:
        sys.exit("the model carries no engine")


def _ask_over_http(model: str, payloads: dict[str, dict[str, Any]], expected: np.ndarray) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "-p", str(port)]
    with Path("serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "--env-manager", "local"], stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    client = requests.Session()
    client.trust_env = False  # loopback never goes to a proxy
    try:
        _wait(client, url, server)
        for name, payload in payloads.items():
            answer = client.post(f"{url}/invocations", json=payload, timeout=START_LIMIT_S)
            if answer.status_code != 200:
                sys.exit(f"{name}, over HTTP: {answer.status_code} {answer.text[:500]}")
            _compare(f"{name}, over HTTP", answer.json()["predictions"], expected)
    finally:
        server.terminate()
        server.wait(START_LIMIT_S)


def _wait(client: requests.Session, url: str, server: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and server.poll() is None:
        try:
            if client.get(f"{url}/ping", timeout=2).status_code == 200:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.3)
    tail = Path("serve.log").read_text().splitlines()[-15:]
    sys.exit("mlflow models serve did not come up:\n" + "\n".join(tail))


def _compare(name: str, rows: list[dict[str, Any]], expected: np.ndarray) -> None:
    got = np.array([row["embedding"] for row in rows], dtype=np.float32)
    if got.shape != expected.shape:
        sys.exit(f"{name}: embeddings of shape {got.shape}, expected {expected.shape}")
    difference = float(np.abs(got - expected).max())
    if not difference <= TOLERANCE:
        sys.exit(f"{name}: differs from the engine by {difference:.2e}, allowed {TOLERANCE:.0e}")
    print(f"{name}: {len(got)} cells, largest difference {difference:.1e}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
