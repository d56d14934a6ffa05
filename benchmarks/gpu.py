"""The engine on a GPU: cells/s, tokens/s, share of the measured GEMM peak, memory, parity.

Needs torch, numpy and scipy, and this repository on the path; no registry, no mlflow, no scanpy:

    python -m benchmarks.gpu --out gpu.json

Cells are made up (whole-human size, random weights): of 300, 1,200 and 3,000 tokens. A checkpoint
was trained with 1,200 at most; for the last point it is told otherwise. Cells of many lengths are
measured without padding and with it, and 32 callers of a cell each against one caller of 32. Exits
with 1 where an embedding is not the CPU's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from benchmarks.checkpoints import LAYERS, WIDTH, whole_human
from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.known_genes import CheckedCells
from scgpt_databricks.model.scgpt.attention import Way
from scgpt_databricks.model.scgpt.device import TOKEN_BUDGET
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.engine import ScgptEngine
from scgpt_databricks.model.scgpt.gpu import driver_version
from scgpt_databricks.model.scgpt.joining import WAIT_MS
from scgpt_databricks.model.scgpt.network import Network
from scgpt_databricks.model.scgpt.params import ScgptOptions

LENGTHS = (300, 1200, 3000)
BUDGETS = (16_384, 65_536, 262_144)
WARM_UP, RUNS = 2, 5
GEMM_SIZE = 8192
RESULTS = Path(__file__).with_name("results.json")
CEILING_LENGTHS = (240, 1200, 3000)
PEAKS = {
    "T4, float16, 65 TFLOP/s": 65,
    "A10G, bfloat16, 70 TFLOP/s": 70,
    "A100, bfloat16, 312 TFLOP/s": 312,
    "H100 and H200, bfloat16, 989 TFLOP/s": 989,
}
"""Dense half-precision products as the makers state them."""
CALLERS = 32
PADDED: Way = "padded"
MIN_COSINE = 0.9995  # of any cell, half precision on the GPU against float32 on the CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--cells", type=int, default=4096, help="cells per measurement")
    parser.add_argument(
        "--ceilings", action="store_true", help="print what devices could do at most, and stop"
    )
    arguments = parser.parse_args()
    if arguments.ceilings:
        print(ceilings())
        return
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
        "cuda": torch.version.cuda,
        "driver": driver_version(),
        "attention": embedder.network.attention,
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
    embedder.budget.tokens = TOKEN_BUDGET["cuda"]
    found["many_lengths"] = many_lengths(embedder, cells // 4)
    found["concurrent_small_requests"] = concurrent_small_requests(embedder)
    return found


def many_lengths(embedder: Embedder, cells: int) -> dict[str, float]:
    """Cells/s of cells of 1 to 1,199 genes, by each way of attention that this device has."""
    counts, genes = mixed_lengths(cells)
    ways: list[Way] = [*dict.fromkeys([embedder.network.attention, PADDED])]
    rates = {}
    for way in ways:
        one_way = Embedder(embedder.checkpoint, replace(embedder.network, attention=way))
        rates[way] = round(cells / timed(partial(one_way.embed_cells, counts, genes)), 1)
    return rates


def concurrent_small_requests(embedder: Embedder) -> dict[str, float]:
    """Cells/s of 32 callers of a cell each, and of one caller of 32 cells, of 300 tokens."""
    counts, genes = made_up(CALLERS, 299)
    some = [Cells(counts[i : i + 1], genes) for i in range(CALLERS)]
    sent = [CheckedCells.of(cells, embedder.vocab) for cells in some]
    engine, options = ScgptEngine(embedder, WAIT_MS), ScgptOptions()

    def ask(one: CheckedCells) -> object:
        return engine.embed_cells([one], options)

    with ThreadPoolExecutor(CALLERS) as callers:
        apart = timed(lambda: [*callers.map(ask, sent)])
    together = timed(lambda: engine.embed_cells(sent, options))
    return {"apart": round(CALLERS / apart, 1), "together": round(CALLERS / together, 1)}


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
    """Multiply-adds times two of the model: no padding, the last layer for ``<cls>`` only.

    On the CPU the engine gets 5 of 68 products of a cell without computing them; they count.
    """
    return flops_of(lengths, len(network.layers))


def flops_of(lengths: np.ndarray, layers: int = LAYERS) -> float:
    """As ``useful_flops``, of a network of whole-human width."""
    d, tokens = WIDTH, lengths.astype(np.float64)
    projections, feed_forward = 2 * 4 * d * d, 2 * 2 * d * d
    full = tokens * (projections + feed_forward) + 4 * tokens**2 * d
    last = tokens * (2 * 2 * d * d) + (2 * 2 * d * d + feed_forward) + 4 * tokens * d
    return float(((layers - 1) * full + last).sum())


def ceilings() -> str:
    """Cells/s by device and tokens, as Markdown.

    Of GPUs: the maker's peak over the work of a cell. Of a processor: as ``make bench`` measured.
    """
    work = [flops_of(np.array([tokens])) for tokens in CEILING_LENGTHS]
    heads = " | ".join(f"{tokens:,} tokens" for tokens in CEILING_LENGTHS)
    rows = [f"| device | {heads} |", f"|---|{'---|' * len(CEILING_LENGTHS)}"]
    found = {each["name"]: each["ours"] * 1e9 for each in json.loads(RESULTS.read_text())}
    for name, precision in (("fp32", "float32"), ("bf16", "bfloat16")):
        measured = [found[f"cpu_{name}_of_fastest_product{end}"] for end in ("", "_1200")]
        rates = [f"{rate / flops:.1f}" for rate, flops in zip(measured, work, strict=False)]
        rows.append(f"| one core here, {precision}: measured | {' | '.join(rates)} | |")
    for device, tflops in PEAKS.items():
        most = " | ".join(f"{tflops * 1e12 / flops:,.0f}" for flops in work)
        rows.append(f"| {device}: ceiling | {most} |")
    return "\n".join(rows)


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
