"""``make bench``: measure, print the table, write ``benchmarks/results.json``."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import figures
from benchmarks.checkpoints import whole_human
from benchmarks.figures import Figure

RESULTS = Path(__file__).parent / "results.json"
CHECKPOINT = figures.ROOT / ".local" / "bench" / "human"


def main() -> None:
    _, genes = figures.cells()
    human = whole_human(CHECKPOINT, genes)
    found = [
        *figures.against_upstream(human),
        *figures.of_gemm_limit(human),
        *figures.gene_embeddings(human),
        *figures.bytes_on_the_wire(),
        *figures.load_weights(human),
    ]
    RESULTS.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")
    Console().print(_table(found))


def _table(found: list[Figure]) -> Table:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    table = Table(title=f"Ratios of one run ({machine})")
    for column in ("figure", "ours", "reference", "unit", "ratio", "goal", "note"):
        table.add_column(column, justify="right" if column in ("ours", "reference") else "left")
    for figure in found:
        table.add_row(
            figure.name,
            f"{figure.ours:,.3g}",
            f"{figure.reference:,.3g}",
            figure.unit,
            f"{figure.ratio:,.3g}",
            figure.goal,
            figure.note,
        )
    return table


if __name__ == "__main__":
    main()
