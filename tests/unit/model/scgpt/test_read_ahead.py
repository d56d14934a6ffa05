"""Tokenising beside the network: it overlaps, holds two blocks at most, and changes no bit."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.errors import EngineError, InvalidRequest
from scgpt_databricks.model.scgpt import batching, read_ahead
from scgpt_databricks.model.scgpt.batching import BATCHES_PER_BLOCK, TokenBudget
from scgpt_databricks.model.scgpt.device import moved
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.network import Network
from scgpt_databricks.model.scgpt.prepare import Prepared
from scgpt_databricks.model.scgpt.read_ahead import one_behind
from scgpt_databricks.model.scgpt.tokenizer import Tokens
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(60, len(GENES)))
PATIENCE = 20  # seconds, of a thread that waits for the other


@pytest.fixture
def narrow(checkpoint: Path) -> Embedder:
    """A cell in a batch, so 60 cells are many blocks."""
    return Embedder.load(checkpoint, device="cpu", token_budget=32)


def around(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, before: Callable[[], None]
) -> None:
    """Have `before` called at each start of a method, which then does its work."""
    real = getattr(kind, name)

    def method(self: Any, *args: Any) -> Any:
        before()
        return real(self, *args)

    monkeypatch.setattr(kind, name, method)


def test_the_next_block_is_tokenised_while_one_is_in_the_network(
    narrow: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other to be at work: one after the other would never come to an end."""
    blocks = n_blocks(narrow)
    in_network, second_block = threading.Event(), threading.Event()
    threads: list[str] = []
    met: list[bool] = []

    def tokenising() -> None:
        threads.append(threading.current_thread().name)
        if len(threads) == 2:
            second_block.set()
            met.append(in_network.wait(PATIENCE))

    def computing() -> None:
        in_network.set()
        if len(threads) < 2 or not met:
            met.append(second_block.wait(PATIENCE))

    around(monkeypatch, Prepared, "tokens", tokenising)
    around(monkeypatch, Network, "cell_embeddings", computing)
    narrow.embed_cells(COUNTS, GENES)
    assert met
    assert all(met)
    assert len(threads) == blocks
    assert all(name.startswith("read-ahead") for name in threads)


def n_blocks(engine: Embedder) -> int:
    found = len(engine.budget.blocks(engine.tokenize(COUNTS, GENES).lengths()))
    assert found > 5
    return found


@pytest.mark.parametrize("budget", [40, 100, 200])
@pytest.mark.parametrize("options", [{}, {"ties": "spread", "max_length": 30, "seed": 3}])
def test_many_blocks_give_the_bits_of_one(
    checkpoint: Path, budget: int, options: dict[str, Any]
) -> None:
    counts = COUNTS.tolil()
    counts[7] = 0
    counts[20, 5:] = 0
    names = [*GENES[:-2], "nowhere", "<pad>"]
    engine = Embedder.load(checkpoint, device="cpu", token_budget=budget)
    tokens = engine.tokenize(counts.tocsr(), names, **options)
    assert len(engine.budget.blocks(tokens.lengths())) > 1
    whole = engine.embed_tokens(tokens)
    found = engine.embed_cells(counts.tocsr(), names, **options)
    np.testing.assert_array_equal(found.embeddings, whole.embeddings)
    for name in ("matched", "unknown", "truncated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert found.matched[7] == 0 < found.unknown.max()


def test_lengths_are_known_before_tokens_are_made(narrow: Embedder) -> None:
    counts = COUNTS.astype(np.float64)
    counts.data[:50] = 1e-60  # 0 as float32: no token
    for matrix in (counts, sparse.csr_array(counts), counts[:, ::-1], counts[:1] * 0):
        tokens, seen = None, None
        for length in (2, 17, 64):
            request = _prepared(narrow, matrix, length)
            tokens, seen = request.tokens(), request.lengths()
            np.testing.assert_array_equal(seen, tokens.lengths())


def _prepared(engine: Embedder, matrix: Any, length: int) -> Prepared:
    names = [*GENES[:-1], "nowhere"]
    return engine.prepare(matrix, names, max_length=length)


def test_blocks_are_whole_batches_of_the_longest_cells_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "BATCHES_PER_BLOCK", 4)
    lengths = np.array([10, 90, 30, 30, 50, 70, 20, 20, 5, 60], np.int64)
    budget = TokenBudget(100, torch.device("cpu"))
    blocks = budget.blocks(lengths)
    batches = [batch.tolist() for batch, _ in budget.batches(lengths, lambda batch: True)]
    assert batches == [[1], [5], [9], [4, 2], [3, 6, 7], [0, 8]]
    assert [block.tolist() for block in blocks] == [[1, 5, 9, 4, 2], [3, 6, 7, 0, 8]]


def test_a_request_of_one_block_starts_no_thread(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: list[threading.Thread] = []
    around(monkeypatch, Prepared, "tokens", lambda: made_in.append(threading.current_thread()))
    monkeypatch.setattr(
        read_ahead, "ThreadPoolExecutor", lambda *_, **__: pytest.fail("a thread for one block")
    )
    embedder.embed_cells(COUNTS, GENES)
    assert made_in == [threading.current_thread()]


def test_two_blocks_of_tokens_are_alive_at_most(
    narrow: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = n_blocks(narrow)
    made: list[weakref.ref[Tokens]] = []
    alive: list[int] = []
    real = Prepared.tokens

    def tokens(self: Prepared, some: Any = None) -> Tokens:
        others = sum(x() is not None for x in made)
        found = real(self, some)
        made.append(weakref.ref(found))
        alive.append(others + 1)
        return found

    monkeypatch.setattr(Prepared, "tokens", tokens)
    narrow.embed_cells(COUNTS, GENES)
    assert len(alive) == blocks
    assert max(alive) == 2


class Broken(Exception):  # noqa: N818 - any error at all
    pass


@pytest.mark.parametrize(("kind", "name"), [(Prepared, "tokens"), (Network, "cell_embeddings")])
def test_an_error_in_a_later_block_is_raised(
    narrow: Embedder, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    calls: list[None] = []

    def third() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise Broken

    with monkeypatch.context() as patch:
        around(patch, kind, name, third)
        with pytest.raises(Broken):
            narrow.embed_cells(COUNTS, GENES)
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead")]
    assert len(narrow.embed_cells(COUNTS, GENES).matched) == 60


def test_a_bad_value_in_the_last_cell_is_refused_before_anything_is_computed(
    narrow: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = COUNTS.copy()
    counts.data[-1] = np.nan
    around(monkeypatch, Network, "cell_embeddings", lambda: pytest.fail("computed"))
    with pytest.raises(InvalidRequest) as refusal:
        narrow.embed_cells(counts, GENES)
    assert refusal.value.code == "not_finite"


def test_a_batch_of_a_later_block_that_does_not_fit_halves_the_budget(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Embedder.load(checkpoint, device="cpu", token_budget=200)
    expected = engine.embed_cells(COUNTS, GENES).embeddings
    real, calls = Network.cell_embeddings, []

    def small(self: Network, genes: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls.append(genes.numel())
        if len(calls) > BATCHES_PER_BLOCK and genes.numel() > 100:
            raise torch.OutOfMemoryError
        return real(self, genes, *rest)

    monkeypatch.setattr(Network, "cell_embeddings", small)
    found = engine.embed_cells(COUNTS, GENES)
    assert engine.budget.tokens == 100
    assert max(calls[:BATCHES_PER_BLOCK]) > 100
    np.testing.assert_allclose(found.embeddings, expected, atol=1e-6)
    monkeypatch.setattr(
        Network, "cell_embeddings", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError())
    )
    with pytest.raises(EngineError, match=r"one cell of .* tokens does not fit"):
        engine.embed_cells(COUNTS, GENES)


def test_a_file_is_read_ahead_in_the_same_way(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import anndata
    import pandas as pd

    anndata.AnnData(COUNTS, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "cells.h5ad")
    threads: list[str] = []
    around(monkeypatch, Prepared, "tokens", lambda: threads.append(threading.current_thread().name))
    embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, chunk=20)
    assert [name.startswith("read-ahead") for name in threads] == [True] * 3


def test_a_batch_is_fetched_when_the_next_one_is_under_way() -> None:
    log: list[str] = []

    def made() -> Iterator[int]:
        for number in range(3):
            log.append(f"begin {number}")
            yield number

    log.extend(f"fetch {number}" for number in one_behind(made()))
    assert log == ["begin 0", "begin 1", "fetch 0", "begin 2", "fetch 1", "fetch 2"]
    assert [*one_behind([])] == []


def test_tensors_go_to_a_gpu_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    here = torch.arange(3)
    assert moved(here, torch.device("cpu")) is here
    assert not pinned
    assert moved(here, torch.device("meta")).is_meta
    assert len(pinned) == 1
