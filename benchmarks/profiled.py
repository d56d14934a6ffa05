"""Shares of the engine's time: no goals, but reasons why a goal was missed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.figures import (
    FEW_CELLS,
    LONG,
    RUNS,
    Asked,
    Figure,
    cells,
    core_seconds,
    long_cells,
    one_core,
    seconds,
)
from benchmarks.gpu import useful_flops
from scgpt_databricks.model.scgpt import network
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.scgpt.linear import Linear
from scgpt_databricks.model.scgpt.network import Network
from scgpt_databricks.model.serve.answer import answer
from scgpt_databricks.model.wire.codec import encode_cells

SIZE, GOAL = "whole-human size", "explains"


def where_time_goes(human: Path) -> list[Figure]:
    """Share of the affine maps and of attention in the time of the engine; the maps' rate.

    At 1,200 tokens attention alone: it is nearly half of the work there. Of one core, by its own
    seconds.
    """
    counts, genes = cells()
    usual, long = (counts[:FEW_CELLS], genes), long_cells(FEW_CELLS // 4)
    with one_core():
        return _where_time_goes(human, usual, long)


def _where_time_goes(human: Path, usual: Asked, long: Asked) -> list[Figure]:
    found = []
    for name, precision in (("fp32", "float32"), ("bf16", "bfloat16")):
        embedder = Embedder.load(human, device="cpu", precision=precision)
        found += _shares(name, embedder, *usual)
        found.append(_shares(name, embedder, *long, suffix=f"_{LONG}")[1])
    return [*found, _work_spared(embedder, *usual)]


def _shares(
    name: str, embedder: Embedder, counts: sparse.csr_matrix, genes: list[str], suffix: str = ""
) -> list[Figure]:
    lengths = embedder.tokenize(counts, genes).lengths()
    of_maps = _flops_of_affine_maps(lengths, embedder.network) / 1e9
    flops = of_maps - _flops_spared(lengths, embedder.network) / 1e9
    runs = []
    for run in range(RUNS + 1):
        limit = _rate_alone(embedder.network)
        with ExitStack() as clocks:
            maps = clocks.enter_context(_clock(Linear, "__call__"))
            attention = clocks.enter_context(_clock(network, "attend"))
            of_cls = clocks.enter_context(_clock(network, "attend_from_cls"))
            whole = core_seconds(lambda: embedder.embed_cells(counts, genes))
        if run:  # the first is the warm-up
            asked = sum(attention) + sum(of_cls)
            runs.append((sum(maps), asked, whole, flops / sum(maps), limit))
    maps_s, attention_s, whole_s, rate, limit = (
        statistics.median(x) for x in zip(*runs, strict=True)
    )
    note = f"one core, {embedder.network.matmul}, {int(lengths.mean())} tokens per cell"
    whole = useful_flops(lengths, embedder.network) / 1e9
    of_attention = f"{1 - of_maps / whole:.0%} of the work; {note}"

    def figure(what: str, ours: float, of: float, unit: str, note: str = note) -> Figure:
        return Figure(f"{name}_{what}{suffix}", ours, of, ours / of, unit, SIZE, GOAL, note)

    return [
        figure("time_in_affine_maps", maps_s, whole_s, "s"),
        figure("time_in_attention", attention_s, whole_s, "s", of_attention),
        figure("affine_maps_of_bare_product", rate, limit, "GFLOP/s"),
    ]


@contextmanager
def _clock(owner: Any, name: str) -> Iterator[list[float]]:
    """The seconds that each call of a function took."""
    work: Callable[..., Any] = getattr(owner, name)
    spent: list[float] = []

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return work(*args, **kwargs)
        finally:
            spent.append(time.process_time() - started)

    with mock.patch.object(owner, name, timed):
        yield spent


def _work_spared(embedder: Embedder, counts: sparse.csr_matrix, genes: list[str]) -> Figure:
    """Part of the useful work that the engine knows without a product."""
    lengths = embedder.tokenize(counts, genes).lengths()
    spared, whole = (f(lengths, embedder.network) / 1e9 for f in (_flops_spared, useful_flops))
    note = f"5 of 68 products; {int(lengths.mean())} tokens per cell"
    return Figure("work_spared", spared, whole, spared / whole, "GFLOP", SIZE, GOAL, note)


def _flops_of_affine_maps(lengths: NDArray[np.int64], of: Network) -> int:
    """The last layer updates one row per cell; keys and values count for all tokens."""
    hidden, d = of.layers[0].linear1.weight.shape
    tokens = int(lengths.sum())
    updated = tokens * (len(of.layers) - 1) + len(lengths)
    per_row = 2 * (2 * d * d + 2 * d * hidden)  # query, out, both maps of the feed-forward part
    return updated * per_row + tokens * len(of.layers) * 2 * (2 * d * d)


def _flops_spared(lengths: NDArray[np.int64], of: Network) -> int:
    """Query, key and value of the first layer, which are looked up; key and value of the last."""
    return int(lengths.sum()) * 5 * 2 * of.value_table.shape[1] ** 2


def _rate_alone(of: Network) -> float:
    """GFLOP/s of one affine map, again and again on the same 4,096 rows."""
    layer = of.layers[0].linear1
    x = torch.randn(4096, layer.weight.shape[1]).to(of.dtype)
    work = 2 * x.shape[0] * layer.weight.numel() / 1e9
    layer(x)
    return work / core_seconds(lambda: layer(x), repeat=20)


def first_answer(human: Path) -> list[Figure]:
    """Compare the second answer of an engine just loaded with its first, for one cell."""
    counts, genes = cells()
    request = pd.DataFrame({"packed": [encode_cells(counts[:1], genes)]})
    runs = []
    for _ in range(RUNS):
        engine = ScgptEngine(Embedder.load(human, device="cpu"))
        ask = partial(answer, engine, request, {})
        runs.append((seconds(ask), seconds(ask)))
    cold, warm = (statistics.median(values) * 1e3 for values in zip(*runs, strict=True))
    note = "the difference is what load_context spares the first request"
    return [Figure("second_answer_vs_first", warm, cold, cold / warm, "ms", SIZE, GOAL, note)]
