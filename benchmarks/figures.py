"""One function per figure. Ours and the reference take turns in one run; the ratio counts."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from scipy import sparse
from torch import Tensor

from benchmarks import likeness
from benchmarks.gpu import made_up, useful_flops
from scgpt_databricks.model.evidence.upstream.pipe import Upstream
from scgpt_databricks.model.scgpt.checkpoint import Checkpoint, read_checkpoint, read_tensors
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.scgpt.joining import wait_ms
from scgpt_databricks.model.scgpt.linear import Linear, processor_family
from scgpt_databricks.model.scgpt.network import Network, build_network
from scgpt_databricks.model.serve.answer import answer
from scgpt_databricks.model.wire.codec import PackedEmbeddings, encode_cells, encode_embeddings

ROOT = Path(__file__).resolve().parents[1]
CELLS, RUNS = 48, 3
LONG, LONG_CELLS = 1200, 8
"""Tokens of a cell as real ones are cut, and how many of these are measured."""
FEW_CELLS = 16
"""For figures of one core."""
Asked: TypeAlias = tuple[sparse.csr_matrix, list[str]]
SMALL = 32  # callers with a cell each
EMPTY = np.empty(0, np.int64)


@dataclass(frozen=True)
class Figure:
    """One line of the table; ``ratio`` is how much better ours is, or a share."""

    name: str
    ours: float
    reference: float
    ratio: float
    unit: str
    checkpoint: str
    goal: str
    note: str = ""


def cells() -> tuple[sparse.csr_matrix, list[str]]:
    """Real PBMC cells: ``[48, 765]`` and symbols."""
    adata = pbmc_cells()
    matrix: Any = adata.X
    return matrix[:CELLS], [str(name) for name in adata.var_names]


def long_cells(count: int = LONG_CELLS) -> tuple[sparse.csr_matrix, list[str]]:
    """Made-up cells of 1,200 tokens, which real cells are cut to: ``[count, 4000]`` and symbols."""
    return made_up(count, LONG - 1)


def against_upstream(human: Path) -> list[Figure]:
    """Cells per second of the engine over those of upstream's ``get_batch_cell_embeddings``."""
    return [
        *_against_upstream(human, *cells(), "", ">= 3.4", ">= 6.2"),
        *_against_upstream(human, *long_cells(), f"_{LONG}", "reported", "reported"),
    ]


def _against_upstream(
    human: Path,
    counts: sparse.csr_matrix,
    genes: list[str],
    suffix: str,
    full_goal: str,
    half_goal: str,
) -> list[Figure]:
    full, half = (
        Embedder.load(human, device="cpu", precision=precision)
        for precision in ("float32", "bfloat16")
    )
    times: dict[str, list[float]] = {"upstream": [], "fp32": [], "bf16": []}
    with Upstream() as reference:
        reference.load(human)
        for run in range(RUNS + 1):
            found = {
                "upstream": seconds(lambda: reference.embed(counts, genes, seed=0)),
                "fp32": seconds(lambda: full.embed_cells(counts, genes)),
                "bf16": seconds(lambda: half.embed_cells(counts, genes)),
            }
            if run:  # the first is the warm-up
                for name, value in found.items():
                    times[name].append(value)
    exact = full.embed_cells(counts, genes).embeddings
    rough = half.embed_cells(counts, genes).embeddings
    cosine, overlap = float((exact * rough).sum(1).min()), likeness.overlap(exact, rough)
    path = f"matmul {full.network.matmul} ({processor_family()})"
    note = f"min cosine to fp32 {cosine:.5f}, 15-neighbour overlap {overlap:.3f}"
    return [
        _speed(f"cpu_fp32_vs_upstream{suffix}", times, "fp32", counts.shape[0], full_goal, path),
        _speed(f"cpu_bf16_vs_upstream{suffix}", times, "bf16", counts.shape[0], half_goal, note),
    ]


def _speed(
    name: str, times: dict[str, list[float]], which: str, n: int, goal: str, note: str
) -> Figure:
    ours, theirs = times[which], times["upstream"]
    ratio = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    return Figure(
        name,
        n / statistics.median(ours),
        n / statistics.median(theirs),
        ratio,
        "cells/s",
        "whole-human size",
        goal,
        note,
    )


def of_gemm_limit(human: Path) -> list[Figure]:
    """Useful FLOP/s of the engine over a GEMM of default precision; time outside the network.

    A request as it is served: packed cells in, checks, tokens, network, packed answer out.
    """
    counts, genes = cells()
    request = pd.DataFrame({"packed": [encode_cells(counts, genes)]})
    embedder = _Timed(read_checkpoint(human))
    engine = ScgptEngine(embedder)
    flops = useful_flops(embedder.tokenize(counts, genes).lengths(), embedder.network)
    x, weight, bias = torch.randn(4096, 512), torch.randn(512, 512), torch.zeros(512)
    packed = Linear(weight, bias, "onednn")
    work = 2 * x.shape[0] * 512 * 512 / 1e9
    shares, outside, rates, limits, fastest = [], [], [], [], []
    for run in range(RUNS + 1):
        gemm = work / seconds(lambda: F.linear(x, weight), repeat=40)
        best = max(gemm, work / seconds(lambda: packed(x), repeat=40))
        embedder.seconds.clear()
        spent = seconds(lambda: answer(engine, request, {"response_format": "float16"}))
        if run:
            rates.append(flops / spent / 1e9)
            limits.append(gemm)
            fastest.append(best)
            shares.append(rates[-1] / gemm)
            outside.append(1 - sum(embedder.seconds) / spent)
    rate, limit, best = (statistics.median(values) for values in (rates, limits, fastest))
    size, share = "whole-human size", statistics.median(outside)
    return [
        Figure(
            "cpu_fp32_of_gemm_limit",
            rate,
            limit,
            statistics.median(shares),
            "GFLOP/s",
            size,
            ">= 0.95",
            f"fastest float32 GEMM here {best:.0f}: {rate / best:.2f} of it",
        ),
        Figure("time_outside_network", share, 1.0, share, "share", size, "<= 0.02"),
    ]


def of_fastest_product(human: Path) -> list[Figure]:
    """Useful FLOP/s of the engine over the fastest product of its type here, at two lengths.

    Of one core, by its own seconds: other work on the machine has no part in them.
    """
    counts, genes = cells()
    usual = (counts[:FEW_CELLS], genes)
    with one_core():
        return _of_fastest_products(human, usual, long_cells(FEW_CELLS // 4))


def _of_fastest_products(human: Path, usual: Asked, long: Asked) -> list[Figure]:
    return [
        _of_fastest(f"cpu_{name}_of_fastest_product{suffix}", embedder, *asked, goal)
        for name, precision, goals in (
            ("fp32", "float32", (">= 0.86", ">= 0.82")),
            ("bf16", "bfloat16", (">= 0.76", ">= 0.70")),
        )
        for embedder in [Embedder.load(human, device="cpu", precision=precision)]
        for suffix, asked, goal in zip(("", f"_{LONG}"), (usual, long), goals, strict=True)
    ]


def _of_fastest(
    name: str, embedder: Embedder, counts: sparse.csr_matrix, genes: list[str], goal: str
) -> Figure:
    lengths, dtype = embedder.tokenize(counts, genes).lengths(), embedder.network.dtype
    flops = useful_flops(lengths, embedder.network) / 1e9
    x, weight = torch.randn(4096, 512).to(dtype), torch.randn(512, 512).to(dtype)
    packed = Linear(weight, torch.zeros(512, dtype=dtype), "onednn")
    work = 2 * x.shape[0] * 512 * 512 / 1e9
    rates, limits = [], []
    for run in range(RUNS + 1):
        alone = [
            work / core_seconds(partial(product, x), repeat=20)
            for product in (packed, partial(F.linear, weight=weight))
        ]
        spent = core_seconds(lambda: embedder.embed_cells(counts, genes))
        if run:  # the first is the warm-up
            rates.append(flops / spent)
            limits.append(max(alone))
    shares = [rate / limit for rate, limit in zip(rates, limits, strict=True)]
    return Figure(
        name,
        statistics.median(rates),
        statistics.median(limits),
        statistics.median(shares),
        "GFLOP/s",
        "whole-human size",
        goal,
        f"one core, {int(lengths.mean())} tokens per cell",
    )


def concurrent_small_requests(human: Path) -> list[Figure]:
    """Compare 32 callers of a cell each with one caller of 32 cells, in one process."""
    counts, genes = cells()
    requests = [
        pd.DataFrame({"packed": [encode_cells(counts[some], genes)]})
        for some in (slice(SMALL), *(slice(i, i + 1) for i in range(SMALL)))
    ]
    engine = ScgptEngine(Embedder.load(human, device="cpu"), wait_ms())
    ask = partial(answer, engine, params={"response_format": "float16"})
    apart, together = [], []
    with ThreadPoolExecutor(SMALL) as callers:
        for run in range(RUNS + 1):
            one = seconds(lambda: ask(requests[0]))
            many = seconds(lambda: list(callers.map(ask, requests[1:])))
            if run:
                together.append(one)
                apart.append(many)
    ratio = statistics.median(t / a for t, a in zip(together, apart, strict=True))
    rates = (SMALL / statistics.median(times) for times in (apart, together))
    return [
        Figure("concurrent_small_requests", *rates, ratio, "cells/s", "whole-human size", ">= 0.7")
    ]


class _Timed(Embedder):
    """The engine; keeps the seconds that are spent in its network."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        network = _TimedNetwork(**vars(build_network(checkpoint.weights, checkpoint.config)))
        super().__init__(checkpoint, network)
        self.seconds = network.seconds


@dataclass(frozen=True)
class _TimedNetwork(Network):
    seconds: list[float] = field(default_factory=list)

    def cell_embeddings(self, genes: Tensor, values: Tensor, lengths: Sequence[int]) -> Tensor:
        started = time.perf_counter()
        found = super().cell_embeddings(genes, values, lengths)
        self.seconds.append(time.perf_counter() - started)
        return found


def gene_embeddings(human: Path) -> list[Figure]:
    """The guide rebuilds model and table in each request; ours is a lookup."""
    counts, genes = cells()
    embedder = Embedder.load(human, device="cpu")
    embedder.embed_genes(genes)
    ours, theirs = [], []
    with Upstream() as reference:
        for _ in range(RUNS):
            ours.append(seconds(lambda: embedder.embed_genes(genes), repeat=200))
            theirs.append(reference.seconds_of_guide(human, counts, genes))
    mine, other = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    name, size = "gene_embeddings_vs_guide", "whole-human size"
    return [Figure(name, mine, other, other / mine, "ms", size, ">= 10000")]


def bytes_on_the_wire() -> list[Figure]:
    """Dense JSON against the packed forms: 100 x 3,000 cells at 10 %, 1,200 x 512 numbers."""
    rng = np.random.default_rng(0)
    shape = (100, 3000)
    counts = np.where(rng.random(shape) < 0.1, 1 + rng.poisson(2, shape), 0).astype(np.float32)
    genes = [f"GENE{i}" for i in range(3000)]
    dense = len(json.dumps({"inputs": counts.tolist()}))
    packed = len(encode_cells(sparse.csr_matrix(counts), genes))
    vectors = rng.standard_normal((1200, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"cell-{i}" for i in range(1200)]
    answer = PackedEmbeddings(names, vectors, EMPTY, EMPTY, EMPTY, [], "0" * 64)
    answered = len(encode_embeddings(answer, "float16"))
    listed = len(json.dumps(vectors.tolist()))
    return [
        Figure("request_bytes", packed, dense, dense / packed, "bytes", "none", ">= 20"),
        Figure("response_bytes", answered, listed, listed / answered, "bytes", "none", ">= 7"),
    ]


def load_weights(human: Path) -> list[Figure]:
    """From the file to a network, against ``torch.load`` and ``load_state_dict`` into upstream's.

    Weights alone on both sides: the vocabulary was read before, the digest is made afterwards.
    """
    checkpoint = read_checkpoint(human)
    path, config = checkpoint.files.weights, checkpoint.config
    ours, theirs = [], []
    with Upstream() as reference:
        reference.load(human)
        for _ in range(RUNS + 2):
            ours.append(seconds(lambda: build_network(read_tensors(path), config)))
            theirs.append(reference.seconds_to_load(human))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return [
        Figure(
            "load_weights",
            mine * 1e3,
            other * 1e3,
            other / mine,
            "ms",
            "whole-human size",
            ">= 10",
            "memory-mapped: what is not used yet is not read yet",
        )
    ]


@contextmanager
def one_core() -> Iterator[None]:
    """Compute with one thread for as long as the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def core_seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    """Seconds of the processor that a call takes, of all threads together."""
    started = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - started) / repeat


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - started) / repeat
