from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.model.client import cache, conversation
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.reference import ReferenceModel, make_model, write_checkpoint
from tests.unit.model.served import Server, running


@pytest.fixture(scope="session")
def reference_model() -> ReferenceModel:
    return make_model()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, reference_model: ReferenceModel) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), reference_model, flash=True)


@pytest.fixture(scope="session")
def embedder(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint, device="cpu")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Answers as the test says; nobody waits before asking again."""
    monkeypatch.setattr(conversation, "pause", lambda stopped, seconds: None)
    cache.cache_at(None).done()  # what tests that fail on purpose have left
    with running() as found:
        yield found
