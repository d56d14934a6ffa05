"""Embeddings of the same cells by two versions: rotated, rounded, broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ortho_group

from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge.likeness import (
    NEW_SPACE,
    ROUNDED,
    Likeness,
    compare,
    found_again,
    overlap,
    shift,
)
from scgpt_databricks.model.scgpt.demo import SHIPPED, Recipe, pbmc_cells, train
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.variants import shift_vocabulary, swap_queries_and_keys

RNG = np.random.default_rng(0)
TYPES = np.repeat(["B", "NK", "T", "mono"], 30)
CELLS = RNG.normal(size=(120, 16)) + 3 * np.repeat(np.eye(16)[:4], 30, axis=0)


def test_the_same_vectors_are_alike() -> None:
    found = compare(CELLS, CELLS, same_weights=True)
    assert found.passed
    assert (found.cosine, found.overlap) == (pytest.approx(1), 1)
    assert NEW_SPACE not in found.reasons


def test_a_move_of_all_cells_hides_in_the_overlap_and_shows_across() -> None:
    cells = RNG.normal(scale=0.1, size=(200, 16)) + 10 * np.eye(16)[0]
    moved = cells + np.eye(16)[1]
    assert overlap(cells, moved) > 0.9
    assert found_again(moved, cells) < 0.2
    assert shift(moved, cells) == pytest.approx(0.1, rel=0.05)
    assert (found_again(cells, cells), shift(cells, cells)) == (1, 0)


def test_rounding_passes_where_precisions_differ_and_only_there() -> None:
    rounded = CELLS + RNG.normal(size=CELLS.shape) * 0.01
    assert not compare(CELLS, rounded, same_weights=True).passed
    assert compare(CELLS, rounded, same_weights=True, limits=ROUNDED).passed


def test_one_wrong_cell_fails_and_the_reason_has_the_number() -> None:
    wrong = CELLS.copy()
    wrong[7] = -wrong[7]
    found = compare(CELLS, wrong, same_weights=True)
    assert not found.passed
    assert "least alike cell: -1.00000, at least 0.99999 is needed: failed." in found.reasons[0]


def test_a_rotation_fails_for_the_same_weights_and_passes_for_others() -> None:
    rotated = CELLS @ ortho_group.rvs(16, random_state=0)
    assert not compare(CELLS, rotated, same_weights=True).passed
    found = compare(CELLS, rotated, same_weights=False, labels=TYPES)
    assert found.passed
    assert found.cosine is None
    assert (found.overlap, found.agreement) == (1, 1)
    assert found.reasons[-1] == NEW_SPACE


def test_noise_in_the_place_of_other_weights_fails_both_figures() -> None:
    noise = RNG.normal(size=(120, 5))
    found = compare(CELLS, noise, same_weights=False, labels=TYPES)
    assert not found.passed
    assert sum("failed" in reason for reason in found.reasons) == 2


@pytest.mark.parametrize(
    ("new", "same"), [(CELLS[:-1], False), (CELLS[:, :5], True), (CELLS[:15], False)]
)
def test_other_cells_are_refused(new: np.ndarray, same: bool) -> None:
    with pytest.raises(InvalidRequest, match="must be of the same cells"):
        compare(CELLS, new, same_weights=same)


class Demo:
    """The demo checkpoint, what it makes of the PBMC cells, and broken copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, adata = folder, pbmc_cells()
        self.cells, self.genes = adata.X, list(adata.var_names)
        self.labels = adata.obs["bulk_labels"].to_numpy(str)
        self.checkpoint = SHIPPED
        self.engine = Embedder.load(self.checkpoint, device="cpu", precision="float32")
        self.champion = self.embed(self.checkpoint)

    def embed(self, checkpoint: Path, precision: str = "float32") -> np.ndarray:
        engine = Embedder.load(checkpoint, device="cpu", precision=precision)
        return engine.embed_cells(self.cells, self.genes).embeddings

    def off_by_one(self, step: int) -> np.ndarray:
        tokens = self.engine.tokenize(self.cells, self.genes)
        bins = np.where(tokens.values > 0, (tokens.values + step).clip(0, 50), tokens.values)
        return self.engine.embed_tokens(replace(tokens, values=bins)).embeddings

    def broken(self, breaks: Callable[[Path], None]) -> Likeness:
        copy = self.folder / breaks.__name__
        shutil.copytree(self.checkpoint, copy)
        breaks(copy)
        return self.other(self.embed(copy))

    def other(self, new: np.ndarray) -> Likeness:
        return compare(self.champion, new, same_weights=False, labels=self.labels)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("likeness"))


@pytest.mark.long
def test_the_same_checkpoint_is_alike(demo: Demo) -> None:
    order = np.random.default_rng(0).permutation(len(demo.labels))
    shuffled = demo.engine.embed_cells(demo.cells[order], demo.genes).embeddings
    assert compare(demo.champion[order], shuffled, same_weights=True).passed


@pytest.mark.long
@pytest.mark.parametrize("step", [-1, 1])
def test_bins_off_by_one_fail(demo: Demo, step: int) -> None:
    off = demo.off_by_one(step)
    assert not compare(demo.champion, off, same_weights=True).passed


@pytest.mark.long
@pytest.mark.parametrize("breaks", [shift_vocabulary, swap_queries_and_keys])
def test_a_checkpoint_that_was_put_together_wrongly_fails(
    demo: Demo, breaks: Callable[[Path], None]
) -> None:
    assert not demo.broken(breaks).passed


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1])
def test_the_shipped_checkpoint_and_its_recipe_are_alike(demo: Demo, seed: int) -> None:
    """Other processors round differently, so that not even the same seed gives the same bytes."""
    retrained = train(demo.folder / f"retrained-{seed}", Recipe(seed=seed))
    found = demo.other(demo.embed(retrained))
    assert found.passed, found
