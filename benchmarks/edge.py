"""The exported networks in onnxruntime against the engine, with the same threads and tokens."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.figures import CELLS, FEW_CELLS, RUNS, Figure
from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.edge.export import export
from scgpt_databricks.model.edge.runner import CELLS_MODEL, EdgeModel
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.tokenizer import Tokens


def onnx_against_torch(checkpoint: Path) -> list[Figure]:
    """Compare cells per second from tokens to rows; the three take turns.

    Once by all cores and the clock, once by one core's own seconds: other work on the machine has
    no part in these.
    """
    counts, genes = figures.cells()
    with tempfile.TemporaryDirectory(prefix="bench-onnx-") as scratch:
        package = Path(scratch) / "edge"
        report = export(checkpoint, package, Cells(counts, genes))
        engine = Embedder.load(checkpoint, device="cpu", precision="float32")
        tokens = engine.tokenize(counts, genes)
        usual = _times(engine, package, tokens, 0, figures.seconds)
        few = engine.tokenize(counts[:FEW_CELLS], genes)
        with figures.one_core():
            alone = _times(engine, package, few, 1, figures.core_seconds)
    loss = f"min cosine {report.int8_cosine:.5f}, 15-neighbour overlap {report.int8_overlap:.3f}"
    return [
        _figure("onnx_vs_torch", usual, "float32", CELLS, "reported", "float32"),
        _figure("onnx_int8_vs_torch_fp32", usual, "int8", CELLS, ">= 1.5", loss),
        _figure("onnx_one_core", alone, "float32", FEW_CELLS, "explains", "one core"),
        _figure("onnx_int8_one_core", alone, "int8", FEW_CELLS, "explains", "one core"),
    ]


def _times(
    engine: Embedder, package: Path, tokens: Tokens, threads: int, clock: Callable[..., float]
) -> dict[str, list[float]]:
    """Seconds of each turn of the engine and of both precisions; threads as ``EdgeModel.load``."""
    models = {p: EdgeModel.load(package, precision=p, threads=threads) for p in CELLS_MODEL}
    ways: dict[str, Any] = {"torch": engine, **models}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(RUNS + 1):
        for name, way in ways.items():
            spent = clock(partial(way.embed_tokens, tokens))
            if run:  # the first is the warm-up
                times[name].append(spent)
    return times


def _figure(
    name: str, times: dict[str, list[float]], precision: str, cells: int, goal: str, note: str
) -> Figure:
    ours, theirs = times[precision], times["torch"]
    ratio = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    rates = [cells / statistics.median(each) for each in (ours, theirs)]
    return Figure(name, *rates, ratio, "cells/s", "whole-human size", goal, note)
