"""A checkpoint of random weights and fifty real cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import Recipe, pbmc_cells, random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("ck") / "c", Recipe(steps=0))


@pytest.fixture(scope="module")
def embedder(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    pbmc_cells()[:50].copy().write_h5ad(path)
    return path
