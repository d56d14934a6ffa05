"""Requests that arrive together are computed together, and each gets what it gets alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.known_genes import CheckedCells
from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.scgpt import joining
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.scgpt.joining import Joined
from scgpt_databricks.model.scgpt.params import ScgptOptions
from tests.unit.model.reference import GENES, make_counts

FOR_EVER_MS = 1e6  # a test that waits for it does not end


class Work:
    """Squares numbers, once the first call is let go; keeps what was computed together."""

    def __init__(self, compute: Callable[[int], int] = lambda part: part * part) -> None:
        self.calls: list[list[int]] = []
        self.began, self.go = threading.Event(), threading.Event()
        self._compute = compute

    def __call__(self, sent: Sequence[int], common: str) -> list[int]:
        self.calls.append([*sent])
        if len(self.calls) == 1:
            self.began.set()
            assert self.go.wait(60)
        return [self._compute(part) for part in sent]


def run(
    work: Work, requests: Sequence[Sequence[int]], most: int = 100, common: str = "same"
) -> list[list[int] | Exception]:
    """Send the first request, the others while it is computed, and let all go."""
    joined: Joined[int, str, int] = Joined(work, lambda: most, 1.0)
    waiting = threading.Semaphore(0)

    def ask(sent: Sequence[int]) -> list[int] | Exception:
        try:
            return joined(sent, common, len(sent))
        except EngineError as error:
            return error

    original = joined._join

    def noted(*args: object) -> object:
        try:
            return original(*args)  # type: ignore[arg-type]
        finally:
            waiting.release()

    joined._join = noted  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(len(requests)) as pool:
        first = pool.submit(ask, requests[0])
        assert work.began.wait(60)
        others = [pool.submit(ask, sent) for sent in requests[1:]]
        for _ in requests:
            assert waiting.acquire(timeout=60)
        work.go.set()
        return [each.result(60) for each in (first, *others)]


def test_what_comes_while_another_is_computed_is_computed_together() -> None:
    work = Work()
    answers = run(work, [[1], [2], [3, 4], [5]])
    assert answers == [[1], [4], [9, 16], [25]]
    assert work.calls[0] == [1]
    assert len(work.calls) <= 3, "some may wait for a group of their own, none for itself"
    assert sorted(part for call in work.calls for part in call) == [1, 2, 3, 4, 5]


def test_nobody_who_is_alone_waits() -> None:
    joined: Joined[int, str, int] = Joined(lambda sent, common: [*sent], lambda: 9, FOR_EVER_MS)
    assert joined([1, 2], "same", 2) == [1, 2]
    assert joined([3], "same", 1) == [3]


def test_a_group_holds_no_more_than_fits_and_large_requests_go_by_themselves() -> None:
    work = Work()
    run(work, [[1], *([n, n] for n in range(10))], most=4)
    assert max(map(len, work.calls)) <= 4
    joined: Joined[int, str, int] = Joined(lambda sent, common: [*sent], lambda: 2, FOR_EVER_MS)
    assert joined([1, 2, 3], "same", 3) == [1, 2, 3]


def test_one_that_fails_fails_alone() -> None:
    def odd(part: int) -> int:
        if part == 3:
            raise EngineError("out_of_memory", "three does not fit")
        return part

    answers = run(Work(odd), [[1], [2], [3], [4, 5]])
    assert answers[:2] == [[1], [2]]
    assert isinstance(answers[2], EngineError)
    assert answers[3] == [4, 5]


def test_a_leader_that_is_stopped_leaves_nobody_waiting() -> None:
    def stopped(sent: Sequence[int], common: str) -> list[int]:
        raise KeyboardInterrupt

    joined: Joined[int, str, int] = Joined(stopped, lambda: 9, 1.0)
    group, answer, leads = joined._join([1], "same", 1)
    _, follower, follows = joined._join([2], "same", 1)
    assert (leads, follows) == (True, False)
    with pytest.raises(KeyboardInterrupt):
        joined._lead(group, "same")
    for each in (answer, follower):
        with pytest.raises(KeyboardInterrupt):
            each.result(1)


def cells(seed: int) -> CheckedCells:
    """One cell; each has a panel of genes of its own."""
    rng = np.random.default_rng(seed)
    columns = rng.permutation(len(GENES))[: 40 + seed]
    counts = sparse.csr_matrix(make_counts(1, len(GENES), seed=seed)[:, columns])
    genes = [GENES[column] for column in columns]
    return CheckedCells(Cells(counts, genes), np.array([GENES.index(g) for g in genes]))


def together(engine: ScgptEngine, callers: int) -> list[np.ndarray]:
    options = ScgptOptions(task="cell_embeddings")
    ready = threading.Barrier(callers)

    def ask(seed: int) -> np.ndarray:
        sent = [cells(seed)]
        ready.wait(60)
        return engine.embed_cells(sent, options)[0].embeddings

    with ThreadPoolExecutor(callers) as pool:
        return [*pool.map(ask, range(callers))]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_keeps_its_bits(checkpoint: Path, precision: str) -> None:
    embedder = Embedder.load(checkpoint, device="cpu", precision=precision)
    apart, joined = ScgptEngine(embedder), ScgptEngine(embedder, join_ms=50.0)
    options = ScgptOptions()
    alone = [apart.embed_cells([cells(seed)], options)[0].embeddings for seed in range(12)]
    for one, other in zip(alone, together(joined, 12), strict=True):
        np.testing.assert_array_equal(other, one)


def test_joined_requests_that_do_not_fit_the_memory_are_all_answered(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [
        ScgptEngine(embedder).embed_cells([cells(seed)], ScgptOptions())[0].embeddings
        for seed in range(8)
    ]
    network, tried = type(embedder.network), []
    original = network.cell_embeddings

    def small(self: object, genes: torch.Tensor, *rest: object) -> torch.Tensor:
        tried.append(genes.numel())
        if genes.numel() > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, genes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(network, "cell_embeddings", small)
    budget = embedder.budget.tokens
    try:
        found = together(ScgptEngine(embedder, join_ms=100.0), 8)
    finally:
        embedder.budget.tokens = budget
    assert max(tried) > 60, "requests were joined"
    for one, other in zip(alone, found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)


@pytest.mark.parametrize("said", ["x", "-1", "101", "nan", "inf"])
def test_a_wait_that_cannot_be_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(joining.VARIABLE, said)
    with pytest.raises(EngineError, match=r"it must be milliseconds, 0 \.\. 100"):
        joining.wait_ms()


def test_zero_turns_it_off(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert joining.wait_ms() == joining.WAIT_MS
    monkeypatch.setenv(joining.VARIABLE, "0")
    engine = ScgptEngine(embedder, joining.wait_ms())
    monkeypatch.setattr(Joined, "_join", lambda *_: pytest.fail("joined"))
    engine.embed_cells([cells(1)], ScgptOptions())
