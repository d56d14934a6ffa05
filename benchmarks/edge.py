"""The exported networks in onnxruntime against the engine, with the same threads and tokens."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks import figures
from benchmarks.figures import CELLS, RUNS, Figure
from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.edge.export import export
from scgpt_databricks.model.edge.runner import CELLS_MODEL, EdgeModel
from scgpt_databricks.model.scgpt.embedder import Embedder


def onnx_against_torch(checkpoint: Path) -> list[Figure]:
    """Compare cells per second from tokens to rows; the three take turns."""
    counts, genes = figures.cells()
    with tempfile.TemporaryDirectory(prefix="bench-onnx-") as scratch:
        package = Path(scratch) / "edge"
        report = export(checkpoint, package, Cells(counts, genes))
        engine = Embedder.load(checkpoint, device="cpu", precision="float32")
        tokens = engine.tokenize(counts, genes)
        ways = {"torch": engine, **{p: EdgeModel.load(package, precision=p) for p in CELLS_MODEL}}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(RUNS + 1):
            for name, way in ways.items():
                spent = figures.seconds(lambda way=way: way.embed_tokens(tokens))  # type: ignore[misc]
                if run:  # the first is the warm-up
                    times[name].append(spent)
    loss = f"min cosine {report.int8_cosine:.5f}, 15-neighbour overlap {report.int8_overlap:.3f}"
    return [
        _figure("onnx_vs_torch", times["float32"], times["torch"], "reported", "float32"),
        _figure("onnx_int8_vs_torch_fp32", times["int8"], times["torch"], ">= 1.5", loss),
    ]


def _figure(name: str, ours: list[float], theirs: list[float], goal: str, note: str) -> Figure:
    ratio = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    rates = [CELLS / statistics.median(each) for each in (ours, theirs)]
    return Figure(name, *rates, ratio, "cells/s", "whole-human size", goal, note)
