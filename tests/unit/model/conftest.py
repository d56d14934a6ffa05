from __future__ import annotations

from pathlib import Path

import pytest

from model.embedder import Embedder
from tests.unit.model.reference import ReferenceModel, make_model, write_checkpoint


@pytest.fixture(scope="session")
def reference_model() -> ReferenceModel:
    return make_model()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, reference_model: ReferenceModel) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), reference_model, flash=True)


@pytest.fixture(scope="session")
def embedder(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint, device="cpu")
