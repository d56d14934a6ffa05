"""The repository's environments in a folder of the test's own, where manifests may be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow.pyfunc
import pytest

from scgpt_databricks.infra import layout
from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.build import importable, requirements, ship_engine
from scgpt_databricks.model.scgpt.demo import random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for source in layout.ENVIRONMENTS.glob("*.toml"):
        shutil.copy(source, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a version of the model, of which nothing was trained."""
    checkpoint = random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return saved(checkpoint, tmp_path_factory.mktemp("files"))


def saved(checkpoint: Path, scratch: Path) -> Path:
    """Save a checkpoint as an MLflow model, as a build logs it."""
    embedder = Embedder.load(checkpoint)
    entry = ship_engine(scratch)
    code = scratch / "code"
    with importable(code):
        mlflow.pyfunc.save_model(
            scratch / "model",
            python_model=str(entry),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=[str(package) for package in code.iterdir()],
            signature=pyfunc.signature(),
            input_example=pyfunc.input_example(embedder.vocab),
            pip_requirements=requirements(),
        )
    return scratch / "model"
