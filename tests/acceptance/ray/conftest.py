"""Registries, models in them, and one real Ray cluster for this folder."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import ray
import requests
from mlflow.models import infer_signature
from mlflow.tracking import fluent
from ray import serve

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.model.ray import Settings, deployment_from_model_name

HERE = Path(__file__).parent
MODEL = "translation_model"
VERSION = "serve_multiplexed_model_id"
HELLO = {"prompt": "hello"}


@contextmanager
def mlflow_at(url: str) -> Iterator[None]:
    """Point MLflow of this process to a server, and back afterwards."""
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    with pytest.MonkeyPatch.context() as patch:
        # Tests that ran before may have chosen an experiment, which this server does not have.
        patch.setattr(fluent, "_active_experiment_id", None)
        patch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before[0])
            mlflow.set_registry_uri(before[1])


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[int]:
    """A plain MLflow server; its files lie in `folder`, which outlives it.

    Its process group is what it yields.
    """
    url = f"http://127.0.0.1:{port}"
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    where = ["--artifacts-destination", str(folder / "artifacts"), "--port", str(port)]
    command = [str(Path(sys.executable).parent / "mlflow"), "server", *store, *where]
    # Its job runner, which starts eight more processes, has nothing to do here.
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: answers(f"{url}/health") or server.poll() is not None, 200)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield server.pid
    finally:
        os.killpg(server.pid, signal.SIGCONT)
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def until(true: Callable[[], Any], limit_s: float = 60) -> None:
    """Wait for a signal."""
    limit = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.1)


def log_translator(name: str = MODEL, **config: Any) -> None:
    settings = {"lang_from": "en", "lang_to": "de", "input_label": "prompt", "hfhub_name": ""}
    settings |= config
    mlflow.pyfunc.log_model(
        name="translator",
        python_model=str(HERE / "translator.py"),
        model_config=settings,
        signature=infer_signature(
            pd.DataFrame({settings["input_label"]: ["hello"]}),
            pd.DataFrame({"translation_text": ["hallo"]}),
        ),
        registered_model_name=name,
        pip_requirements=["mlflow"],
    )


def log_versions() -> None:
    """Versions 1 (de), 2 (fr), 3 (another column), 4 (does not load) of the translator."""
    log_translator()
    log_translator(lang_to="fr")
    log_translator(input_label="text_to_translate")
    log_translator(broken=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry in a file, with the translator's versions."""
    folder, here = tmp_path_factory.mktemp("mlflow"), Path.cwd()
    with mlflow_at(f"sqlite:///{folder}/mlflow.db"):
        os.chdir(folder)  # artefacts of a registry in a file lie in the working directory
        log_versions()
        os.chdir(here)
        yield mlflow.get_tracking_uri()


@pytest.fixture(scope="package")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A plain `mlflow server` with the translator's versions; MLflow points to it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server"), port), mlflow_at(url):
        log_versions()
        yield url


@pytest.fixture(scope="package")
def cluster() -> Iterator[int]:
    """A small cluster; the port of its proxy."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield port
    serve.shutdown()
    ray.shutdown()


@dataclass
class Served:
    """A model behind the proxy."""

    url: str

    def post(self, body: Any, version: str | None = None, **more: Any) -> requests.Response:
        headers = {} if version is None else {VERSION: version}
        headers |= more.pop("headers", {})
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return requests.post(f"{self.url}/serve", headers=headers, timeout=120, **sent, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **more)

    @property
    def loaded(self) -> list[int]:
        found: list[int] = self.get("/versions").json()["loaded"]
        return found


@contextmanager
def serving(
    port: int,
    model: str = MODEL,
    default: str = "1",
    *,
    settings: Settings | None = None,
    **more: Any,
) -> Iterator[Served]:
    """Serve a model under a prefix of its own."""
    chosen = settings or Settings(retry_load_s=1, refresh_s=0.2)
    name = f"app-{time.monotonic_ns()}"
    options = {"ray_actor_options": {"num_cpus": 0.5}, **more}
    deployment = deployment_from_model_name(model, default, settings=chosen, **options)
    serve.run(deployment.bind(), name=name, route_prefix=f"/{name}")
    try:
        yield Served(f"http://127.0.0.1:{port}/{name}")
    finally:
        serve.delete(name)
