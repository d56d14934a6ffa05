"""The model, logged and loaded by unmodified MLflow, behind MLflow's own scoring app."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
import uvicorn
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import init

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.reference import make_model, write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), make_model(), flash=True)


@pytest.fixture(scope="session")
def embedder(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint, device="cpu")


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start the repository's own package and no copy of it, so that tests can set its limits."""
    path = tmp_path_factory.mktemp("entry") / "entry.py"
    path.write_text(
        "import mlflow\nfrom scgpt_databricks.model.pyfunc import ScgptModel\n"
        "mlflow.models.set_model(ScgptModel())\n"
    )
    return path


@pytest.fixture(scope="session")
def logged(checkpoint: Path, entry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "logged"
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(entry),
        artifacts={"checkpoint": str(checkpoint)},
        signature=pyfunc.signature(),
        pip_requirements=["mlflow"],
        model_config={"device": "cpu", "with_hvg": False},
    )
    return folder


@pytest.fixture(scope="session")
def loaded(logged: Path) -> PyFuncModel:
    return mlflow.pyfunc.load_model(str(logged))


class Server:
    """MLflow's scoring app on loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def post(self, path: str, **request: Any) -> requests.Response:
        headers = {"Content-Type": "application/json"}  # without it MLflow itself answers 500
        return requests.post(self.url + path, timeout=60, headers=headers, **request)


@pytest.fixture(scope="session")
def server(loaded: PyFuncModel) -> Iterator[Server]:
    before = dict(os.environ)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = uvicorn.Server(uvicorn.Config(init(loaded), log_level="error"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Server(listener.getsockname()[1])
        running.should_exit = True
        thread.join()
    os.environ.clear()
    os.environ.update(before)
