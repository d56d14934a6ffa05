"""A build's comparison with upstream scGPT, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import BuildError
from scgpt_databricks.model.evidence import parity
from scgpt_databricks.model.evidence.labelled import read_labelled
from scgpt_databricks.model.evidence.parity import Parity, compare
from scgpt_databricks.model.evidence.upstream.pipe import PYTHON, UpstreamError
from scgpt_databricks.model.scgpt.demo import SHIPPED
from scgpt_databricks.model.scgpt.embedder import Embedder


class Upstream:
    """In the place of upstream's process: our own embeddings, moved a little."""

    moved = 0.0
    error = ""

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, checkpoint: Path) -> None:
        if self.error:
            raise UpstreamError(self.error)
        self.embedder = Embedder.load(checkpoint)

    def encode(self, tokens: object, pad_id: int, pad_value: int) -> np.ndarray:
        return self.embedder.embed_tokens(tokens).embeddings + np.float32(self.moved)

    def embed(self, cells: object, genes: list[str], seed: int) -> np.ndarray:
        """Two draws: ours with ``spread``, and the same moved as a whole."""
        found = self.embedder.embed_cells(cells, genes, ties="spread").embeddings
        return found + np.float32(seed * 0.1)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Upstream]:
    monkeypatch.setattr(parity, "PYTHON", tmp_path)
    monkeypatch.setattr(parity, "Upstream", Upstream)
    return Upstream


def test_without_the_reference_environment_a_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Path, embedder: Embedder, tmp_path: Path
) -> None:
    monkeypatch.setattr(parity, "PYTHON", tmp_path / "nowhere")
    found = compare(checkpoint, embedder, None)
    assert str(found).startswith("not compared with upstream scGPT: the reference environment is")
    assert (found.tags, found.metrics) == ({}, {})


def test_the_figure_goes_into_tags_and_metrics(
    upstream: type[Upstream],
    checkpoint: Path,
    embedder: Embedder,
    labelled_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "moved", 2e-6)
    found = compare(checkpoint, embedder, read_labelled(labelled_file, "type"))
    assert found.cells == 20
    assert found.difference == pytest.approx(2e-6, rel=0.1)
    assert found.metrics[registry.PARITY] == found.difference
    assert found.tags[registry.PARITY].endswith("e-06")


def test_ways_with_ties_are_told_by_both_measures(
    upstream: type[Upstream], checkpoint: Path, embedder: Embedder, labelled_file: Path
) -> None:
    found = compare(checkpoint, embedder, read_labelled(labelled_file, "type"))
    assert found.ties.keys() == {"upstream", "mid", "spread"}
    assert found.ties_cells == 40
    spread = found.ties["spread"]
    assert spread["shift"] == pytest.approx(found.ties["upstream"]["shift"] / 2, rel=0.1)
    assert found.metrics["ties_spread_found_again"] == spread["found_again"] > 0.5
    assert f"spread: neighbours shared {spread['overlap']:.2f}, own row found again" in str(found)
    assert "on 40 cells: another draw: neighbours shared" in str(found)


def test_without_cells_nothing_is_said_about_ties(
    upstream: type[Upstream], checkpoint: Path, embedder: Embedder
) -> None:
    found = compare(checkpoint, embedder, None)
    assert (found.ties, found.ties_cells) == ({}, 0)
    assert "draws" not in str(found)


@pytest.mark.parametrize("moved", [1e-3, float("nan")])
def test_other_embeddings_end_the_build(
    upstream: type[Upstream],
    checkpoint: Path,
    embedder: Embedder,
    moved: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "moved", moved)
    with pytest.raises(BuildError, match="at most 1e-05 is allowed, so nothing was logged"):
        compare(checkpoint, embedder, None)


def test_an_upstream_that_fails_is_no_verdict(
    upstream: type[Upstream], checkpoint: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "error", "its process ended\nKeyError: 'embsize'")
    found = compare(checkpoint, embedder, None)
    assert found == Parity(note="it failed: KeyError: 'embsize'")


@pytest.mark.skipif(not PYTHON.exists(), reason="upstream scGPT is not installed: make reference")
def test_the_demo_checkpoint_agrees_with_upstream() -> None:
    found = compare(SHIPPED, Embedder.load(SHIPPED), None)
    assert found.cells == 8
    assert found.difference is not None
    assert 0 < found.difference < 1e-6
