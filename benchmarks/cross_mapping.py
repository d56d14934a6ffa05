"""Cells of ours among cells that upstream embedded: ``python -m benchmarks.cross_mapping``.

Prints the table of ADR 5 and writes ``benchmarks/cross_mapping.json``. Every number comes from
seeds that are fixed; minutes on two cores. Needs ``make reference``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.checkpoints import whole_human
from benchmarks.fidelity import Row, markdown, raw_pbmc
from scgpt_databricks.model.evidence.ties import compare_ties
from scgpt_databricks.model.evidence.upstream.pipe import Upstream
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder

RESULTS = Path(__file__).with_name("cross_mapping.json")
DRAWS = 5


def main() -> None:
    torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    rows = list(measure())
    print(markdown(rows))
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def measure() -> Iterator[Row]:
    """Each checkpoint and each way with ties, on raw counts."""
    cells, genes, _ = raw_pbmc()
    with tempfile.TemporaryDirectory() as folder, Upstream(threads=1) as upstream:
        for name, checkpoint, some in (
            ("demo, trained", demo.SHIPPED, cells),
            ("demo, random", demo.random_checkpoint(Path(folder) / "random"), cells),
            ("whole-human size, random", whole_human(Path(folder) / "human", genes), cells[::10]),
        ):
            upstream.load(checkpoint)
            engine = Embedder.load(checkpoint, device="cpu", precision="float32")
            for way, found in compare_ties(upstream, engine, some, genes, DRAWS).items():
                yield {"checkpoint": name, "cells": some.shape[0], "ties": way, **found}


if __name__ == "__main__":
    main()
