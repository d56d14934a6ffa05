"""Registries, models in them, and one real Ray cluster for a module."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
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
from ray import serve

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.model.ray import Settings, deployment_from_model_name

HERE = Path(__file__).parent
MODEL = "translation_model"
VERSION = "serve_multiplexed_model_id"


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
    before, here = (mlflow.get_tracking_uri(), mlflow.get_registry_uri()), Path.cwd()
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_registry_uri(mlflow.get_tracking_uri())  # another test may have left its own
    os.chdir(folder)  # artefacts of a registry in a file lie in the working directory
    log_versions()
    os.chdir(here)
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


@pytest.fixture(scope="module")
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
    deployment = deployment_from_model_name(
        model, default, settings=chosen, ray_actor_options={"num_cpus": 0.5}, **more
    )
    serve.run(deployment.bind(), name=name, route_prefix=f"/{name}")
    try:
        yield Served(f"http://127.0.0.1:{port}/{name}")
    finally:
        serve.delete(name)
