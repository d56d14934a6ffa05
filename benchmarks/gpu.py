"""The engine on a GPU: cells/s, tokens/s, share of the measured GEMM peak, memory, parity.

Needs torch, numpy and scipy, and this repository on the path; no registry, no mlflow, no scanpy:

    python -m benchmarks.gpu --out gpu.json

Cells are made up (whole-human size, random weights): of 300, 1,200 and 3,000 tokens. A checkpoint
was trained with 1,200 at most; for the last point it is told otherwise. Exits with 1 where an
embedding is not the CPU's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from benchmarks.checkpoints import WIDTH, whole_human
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.network import Network

LENGTHS = (300, 1200, 3000)
BUDGETS = (16_384, 65_536, 262_144)
WARM_UP, RUNS = 2, 5
GEMM_SIZE = 8192
MIN_COSINE = 0.9995  # of any cell, half precision on the GPU against float32 on the CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--cells", type=int, default=4096, help="cells per measurement")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device: nothing to measure")
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(whole_human(Path(scratch) / "human", []), arguments.cells)
    report(result, arguments.out)


def report(result: dict[str, Any], out: Path) -> None:
    """Write and print what was measured; exit with 1 where the GPU's answers are not the CPU's."""
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if not result["parity_ok"]:
        raise SystemExit(
            f"parity failed: min_cosine is {result['parity']['min_cosine']:.6f}, at least "
            f"{MIN_COSINE} is required. The speeds above are of wrong answers."
        )


def measure(checkpoint: Path, cells: int) -> dict[str, Any]:
    """Everything, as one JSON object."""
    embedder = _unlimited(Embedder.load(checkpoint, device="cuda"))
    dtype = embedder.network.dtype
    peak = gemm_flops(dtype)
    cosines = parity(checkpoint)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "torch": torch.__version__,
        "dtype": str(dtype).removeprefix("torch."),
        "gemm_tflops": round(peak / 1e12, 1),
        "parity": cosines,
        "parity_ok": is_parity(cosines),
        "runs": [],
    }
    for length in LENGTHS:
        expressed = length - 1  # and <cls>
        counts, genes = made_up(cells if length < 1200 else cells // 4, expressed)
        for budget in BUDGETS:
            embedder.budget.tokens = budget
            found["runs"].append(one(embedder, counts, genes, length, budget, peak))
    return found


def _unlimited(embedder: Embedder) -> Embedder:
    """The same engine without the checkpoint's limit of tokens: for speed alone."""
    config = replace(embedder.config, max_length=max(LENGTHS))
    return Embedder(replace(embedder.checkpoint, config=config), embedder.network)


def one(
    embedder: Embedder,
    counts: sparse.csr_matrix,
    genes: list[str],
    length: int,
    budget: int,
    peak: float,
) -> dict[str, Any]:
    """End to end, and the network alone."""
    torch.cuda.reset_peak_memory_stats()
    seconds = timed(lambda: embedder.embed_cells(counts, genes))
    tokens = embedder.tokenize(counts, genes)
    network = timed(lambda: embedder.embed_tokens(tokens))
    lengths = tokens.lengths()
    flops = float(useful_flops(lengths, embedder.network))
    return {
        "tokens": length,
        "token_budget": budget,
        "cells_per_s": round(counts.shape[0] / seconds, 1),
        "tokens_per_s": round(float(lengths.sum()) / seconds),
        "share_of_gemm_peak": round(flops / seconds / peak, 3),
        "share_of_gemm_peak_network_alone": round(flops / network / peak, 3),
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def useful_flops(lengths: np.ndarray, network: Network) -> float:
    """Multiply-adds times two that the cells need: no padding, the last layer for ``<cls>``
    only.
    """
    d, tokens = WIDTH, lengths.astype(np.float64)
    projections, feed_forward = 2 * 4 * d * d, 2 * 2 * d * d
    full = tokens * (projections + feed_forward) + 4 * tokens**2 * d
    last = tokens * (2 * 2 * d * d) + (2 * 2 * d * d + feed_forward) + 4 * tokens * d
    return float(((len(network.layers) - 1) * full + last).sum())


def gemm_flops(dtype: torch.dtype, size: int = GEMM_SIZE) -> float:
    """FLOP/s of a large square matrix product on this device."""
    a, b = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / timed(lambda: a @ b, repeat=10)


def parity(checkpoint: Path) -> dict[str, float]:
    """Against the same cells in float32 on the CPU; of many lengths, so that batches are padded."""
    counts, genes = mixed_lengths(64)
    gpu = Embedder.load(checkpoint, device="cuda").embed_cells(counts, genes).embeddings
    cpu = Embedder.load(checkpoint, device="cpu").embed_cells(counts, genes).embeddings
    cosine = (gpu * cpu).sum(axis=1)
    return {"min_cosine": float(cosine.min()), "mean_cosine": float(cosine.mean())}


def is_parity(cosines: dict[str, float]) -> bool:
    """Return True when the worst cell is near enough; NaN is not."""
    return cosines["min_cosine"] >= MIN_COSINE


def made_up(cells: int, expressed: int, genes: int = 4000) -> tuple[sparse.csr_matrix, list[str]]:
    """Cells with exactly `expressed` non-zero genes: ``[cells, genes]`` and symbols."""
    rng = np.random.default_rng(expressed)
    columns = np.stack([rng.permutation(genes)[:expressed] for _ in range(cells)])
    counts = 1 + rng.poisson(2, columns.shape).astype(np.float32)
    indptr = np.arange(cells + 1) * expressed
    matrix = sparse.csr_matrix((counts.ravel(), columns.ravel(), indptr), shape=(cells, genes))
    matrix.sort_indices()
    return matrix, [f"GENE{i}" for i in range(genes)]


def mixed_lengths(cells: int, genes: int = 4000) -> tuple[sparse.csr_matrix, list[str]]:
    """Cells of 1 to 1,199 non-zero genes: ``[cells, genes]`` and symbols."""
    lengths = np.linspace(1, 1199, cells).astype(int)
    rows = [made_up(1, int(length), genes)[0] for length in lengths]
    return sparse.vstack(rows, format="csr"), [f"GENE{i}" for i in range(genes)]


def timed(work: Callable[[], Any], repeat: int = 1) -> float:
    """Median seconds of one call."""
    seconds = []
    for run in range(WARM_UP + RUNS):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(repeat):
            work()
        torch.cuda.synchronize()
        if run >= WARM_UP:
            seconds.append((time.perf_counter() - started) / repeat)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
