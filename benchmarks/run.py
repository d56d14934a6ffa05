"""``make bench``: measure, print the table, write it and ``benchmarks/results.json``.

``python -m benchmarks.run GROUP ...`` measures some groups only and leaves the other figures of the
file as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import (
    canary,
    client,
    edge,
    figures,
    infrastructure,
    kpis,
    memory,
    page,
    profiled,
    ray,
    served,
    tables,
    watched,
)
from benchmarks.checkpoints import whole_human
from benchmarks.figures import ROOT, Figure
from scgpt_databricks.model.scgpt import demo

RESULTS = Path(__file__).parent / "results.json"


def groups() -> dict[str, Callable[[], list[Figure]]]:
    """The measurements, by name."""
    _, genes = figures.cells()
    human = whole_human(ROOT / ".local" / "bench" / "human", genes)
    return {
        "upstream": lambda: figures.against_upstream(human),
        "gemm": lambda: figures.of_gemm_limit(human),
        "product": lambda: figures.of_fastest_product(human),
        "concurrent": lambda: figures.concurrent_small_requests(human),
        "profile": lambda: profiled.where_time_goes(human),
        "genes": lambda: figures.gene_embeddings(human),
        "bytes": figures.bytes_on_the_wire,
        "load": lambda: figures.load_weights(human),
        "first": lambda: profiled.first_answer(human),
        "served": lambda: served.http_vs_in_process(human),
        "synthesis": infrastructure.synth_environment,
        "deploy": infrastructure.no_op_deploy,
        "canary": canary.figures,
        "watched": watched.figures,
        "kpis": kpis.figures,
        "client": client.figures,
        "memory": lambda: memory.backed_memory(demo.SHIPPED),
        "ray": lambda: ray.figures(human),
        "onnx": lambda: edge.onnx_against_torch(human),
        "spark": lambda: [*tables.spark_per_core(human), *tables.converter_memory()],
    }


def main() -> None:
    known = groups()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", nargs="*", help=f"of {', '.join(known)}; by default all")
    wanted = parser.parse_args().group or list(known)
    if unknown := sorted(set(wanted) - set(known)):
        parser.error(f"unknown group {', '.join(unknown)}; known are {', '.join(known)}")
    console = Console()
    found: list[Figure] = []
    for name in wanted:
        console.print(f"measuring {name} ...")
        found += known[name]()
        page.write(_keep(found))  # a later group may fail
    console.print(table(found))


def _keep(found: list[Figure]) -> list[dict[str, Any]]:
    """Write what was found; figures of groups that were left out stay."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    new = {figure.name: asdict(figure) for figure in found}
    kept = [new.pop(old["name"], old) for old in before]
    results = [*kept, *new.values()]
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return results


def table(found: list[Figure]) -> Table:
    """The figures, for a terminal of 80 columns; notes are on the page."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    table = Table(title=f"Ratios of one run ({machine})", box=None, padding=(0, 1, 0, 0))
    for column in ("figure", "ratio", "goal", "ours", "reference", "unit"):
        side: Literal["left", "right"] = "left" if column in ("figure", "unit") else "right"
        table.add_column(column, justify=side, no_wrap=True)
    for figure in found:
        missed = page.goal(figure.goal, figure.ratio).endswith("missed")
        table.add_row(
            figure.name,
            page.number(figure.ratio),
            figure.goal.replace("explains", "").replace("reported", "") + ("!" if missed else ""),
            page.number(figure.ours),
            page.number(figure.reference),
            figure.unit,
        )
    return table


if __name__ == "__main__":
    main()
