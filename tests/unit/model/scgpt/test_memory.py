"""A device that is too small for a batch gets smaller batches, and the same answer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.scgpt.batching import TokenBudget
from scgpt_databricks.model.scgpt.demo import Recipe, pbmc_cells, random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.genes_in_context import embed_genes_in_context
from scgpt_databricks.model.scgpt.network import Network

held: list[weakref.ref[torch.Tensor]] = []
"""Batches that did not fit, and their memory."""


class SmallDevice(Network):
    """Runs out of memory beyond 600 tokens."""

    room = 600

    def cell_embeddings(
        self, genes: torch.Tensor, values: torch.Tensor, lengths: Sequence[int]
    ) -> torch.Tensor:
        if genes.numel() > self.room:
            activations = torch.empty(8)
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError(f"out of memory beside {activations.numel()}")
        return super().cell_embeddings(genes, values, lengths)


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    return Embedder.load(random_checkpoint(tmp_path / "checkpoint", Recipe(steps=0)))


def small(embedder: Embedder) -> Embedder:
    parts = {part.name: getattr(embedder.network, part.name) for part in fields(Network)}
    return Embedder(embedder.checkpoint, SmallDevice(**parts), 4096)


def test_the_budget_is_halved_until_a_batch_fits(embedder: Embedder) -> None:
    cells = pbmc_cells()[:12]
    genes = [str(name) for name in cells.var_names]
    squeezed = small(embedder)
    found = squeezed.embed_cells(cells.X, genes)
    assert squeezed.budget.tokens <= 600
    np.testing.assert_allclose(
        found.embeddings, embedder.embed_cells(cells.X, genes).embeddings, atol=1e-6
    )


def test_what_a_failed_batch_held_is_gone_before_memory_is_given_back(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.clear()
    alive: list[bool] = []
    monkeypatch.setattr(
        torch.cuda, "empty_cache", lambda: alive.append(any(x() is not None for x in held))
    )
    cells = pbmc_cells()[:12]
    small(embedder).embed_cells(cells.X, [str(name) for name in cells.var_names])
    assert len(held) == len(alive) > 0
    assert not any(alive)


def test_requests_that_fail_together_halve_the_budget_once(embedder: Embedder) -> None:
    """Both tried two cells of 1,200 tokens: the second must not take one cell for too large."""
    squeezed = small(embedder)
    squeezed.budget.tokens = 2400
    for _ in range(2):
        squeezed.budget.make_room(1200, 2400, alone=False)
    assert squeezed.budget.tokens == 1200


def test_one_cell_that_does_not_fit_is_said(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallDevice, "room", 100)
    cells = pbmc_cells()[:2]
    with pytest.raises(EngineError, match=r"one cell of .* tokens does not fit"):
        small(embedder).embed_cells(cells.X, [str(name) for name in cells.var_names])


TOO_LARGE: list[Callable[[], object]] = [lambda: torch.empty(2**50), lambda: np.empty(2**50)]
"""What no machine has room for; torch and numpy say so in their own ways."""


@pytest.mark.parametrize("allocate", TOO_LARGE, ids=["torch", "numpy"])
def test_a_machine_without_memory_gets_smaller_batches_too(allocate: Callable[[], object]) -> None:
    budget = TokenBudget(64, torch.device("cpu"))

    def compute(batch: NDArray[np.int64]) -> int:
        if len(batch) > 2:
            allocate()
        return len(batch)

    made = list(budget.batches(np.full(8, 8), compute))
    assert ([n for _, n in made], budget.tokens) == ([2] * 4, 16)


@pytest.mark.parametrize("allocate", TOO_LARGE, ids=["torch", "numpy"])
def test_a_machine_without_memory_for_one_cell_says_so(allocate: Callable[[], object]) -> None:
    budget = TokenBudget(64, torch.device("cpu"))
    with pytest.raises(EngineError, match="does not fit the memory of cpu") as caught:
        list(budget.batches(np.full(3, 8), lambda batch: allocate()))
    assert caught.value.code == "out_of_memory"


def test_another_failure_is_not_taken_for_a_lack_of_memory() -> None:
    def compute(batch: NDArray[np.int64]) -> object:
        return torch.ones(2, 3) @ torch.ones(2, 3)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(TokenBudget(64, torch.device("cpu")).batches(np.full(3, 8), compute))


def test_nothing_of_a_request_outlives_its_answer(embedder: Embedder) -> None:
    """What a GPU would have to hold: every tensor that a request made, failed ones included."""
    cells = pbmc_cells()[:12]
    genes = [str(name) for name in cells.var_names]
    broken = small(embedder)

    def requests() -> None:
        embedder.embed_cells(cells.X, genes)
        embed_genes_in_context(embedder, Cells(cells.X, genes))
        broken.budget.tokens = 4096
        broken.embed_cells(cells.X, genes)

    requests()  # weights are laid out at their first use, and stay
    before = alive()
    requests()
    assert alive() == before


def alive() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_the_gene_table_stays_in_the_file(tmp_path: Path) -> None:
    """Mapped, not copied: loading does not read what no request has asked for."""
    folder = random_checkpoint(tmp_path / "checkpoint", Recipe(steps=0))
    loaded = Embedder.load(folder, device="cpu")
    table = loaded.network.gene_table.data_ptr()
    lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = {tuple(int(end, 16) for end in line[0].split("-")): line[-1] for line in lines}
    (name,) = [name for (start, stop), name in spans.items() if start <= table < stop]
    assert name == str(folder / "best_model.pt")
