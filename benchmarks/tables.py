"""Tables of cells: size and price of a row, Spark against one process, memory of the converter.

``python -m benchmarks.tables`` prints the rates that ``docs/scale.md`` calculates with.
"""

from __future__ import annotations

import io
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from anndata import AnnData
from pandas import DataFrame

from benchmarks import figures
from benchmarks.figures import ROOT, Figure
from benchmarks.memory import FEW, MANY, flat
from benchmarks.synthetic import clustered_cells
from scgpt_databricks.model.batch.spark.embed import EMBEDDING_DDL, embedding
from scgpt_databricks.model.batch.spark.engines import Model
from scgpt_databricks.model.batch.spark.rows import Origin, cell_tables, read_cell, together
from scgpt_databricks.model.cells.in_memory import AnnDataCells

JARS = ROOT / ".local" / "jars"
CELLS, RUNS = 96, 5
"""Cells and turns of a comparison; at whole-human size some seconds for one process."""


def row_rates() -> dict[str, float]:
    """Measure rows of cells with 2,000 to 5,000 genes and symbols of usual length, on one core."""
    counts, _ = clustered_cells(200)
    chance = np.random.default_rng(0)
    letters = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    genes = [
        "".join(chance.choice(letters, chance.integers(2, 5))) + str(number)
        for number in range(counts.shape[1])
    ]
    cells = AnnData(counts, var=DataFrame(index=genes))
    started = time.process_time()
    table = pa.concat_tables(
        piece for _, piece in cell_tables(AnnDataCells(cells), Origin("a", "b"), 0, 100)
    )
    packed = time.process_time() - started
    file = io.BytesIO()
    parquet.write_table(table, file)
    started = time.process_time()
    together([read_cell(row) for row in table["packed"].to_pylist()])
    read = time.process_time() - started
    vectors = chance.standard_normal((200, 512)).astype(np.float32)
    out = io.BytesIO()
    parquet.write_table(pa.table({"embedding": [*vectors]}), out)
    return {
        "genes per cell": float(np.diff(counts.indptr).mean()),
        "bytes per cell, table of cells": file.tell() / len(table),
        "bytes per cell, 512 numbers": out.tell() / len(vectors),
        "ms per cell to pack": 1000 * packed / len(table),
        "ms per cell to read": 1000 * read / len(table),
    }


def spark_per_core(checkpoint: Path) -> list[Figure]:
    """Compare two tasks of one thread with one process of two threads, on the same cells."""
    from scgpt_databricks.model.batch.spark.session import session
    from scgpt_databricks.model.scgpt.embedder import Embedder

    cells, genes = figures.cells()
    some = cells[np.arange(CELLS) % cells.shape[0]]
    spark = session("local[2]", JARS, {"spark.driver.memory": "1g"})
    packed = [
        row
        for _, piece in cell_tables(
            AnnDataCells(AnnData(some, var=DataFrame(index=genes))), Origin("a", "b"), 0, CELLS
        )
        for row in piece["packed"].to_pylist()
    ]
    rows = pa.table({"cell_digest": [str(i) for i in range(CELLS)], "packed": packed})
    table = spark.createDataFrame(rows).repartition(2).cache()
    work = table.mapInArrow(embedding(Model(str(checkpoint))), EMBEDDING_DDL)

    def by_spark() -> None:
        work.write.format("noop").mode("overwrite").save()

    embedder = Embedder.load(checkpoint)

    def by_process() -> None:
        embedder.embed_cells(some, genes)

    for each in (by_spark, by_process):
        each()  # loads the model, and fills the cache
    times = [[figures.seconds(each) for each in (by_spark, by_process)] for _ in range(RUNS)]
    spark.stop()
    ours, theirs = (CELLS / statistics.median(each) for each in zip(*times, strict=True))
    ratio = statistics.median(process / task for task, process in times)
    least, most = (pick(process / task for task, process in times) for pick in (min, max))
    note = f"{CELLS} PBMC cells, {RUNS} turns: {least:.2f} to {most:.2f}"
    name, size = "spark_per_core_vs_one_process", "whole-human size"
    return [Figure(name, ours, theirs, ratio, "cells/s", size, ">= 0.9", note)]


def converter_memory() -> list[Figure]:
    """Measure the memory of the converter."""
    note = f"the converter to tables without its JVM, {MANY:,} and {FEW:,} cells"
    return [flat("convert_memory", lambda source: _peak_mib(source, source.with_suffix("")), note)]


def _peak_mib(source: Path, table: Path) -> float:
    """Largest resident size of the process that reads and packs; the JVM has a heap of its own."""
    code = (
        "import resource, sys\n"
        "from scgpt_databricks.scripts.cli.main import cli\n"
        "try:\n    cli(sys.argv[1:])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    words = ["spark", "convert", str(source), "--into", str(table), "--jars", str(JARS)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--master", "local[2]", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1]) / 1024


if __name__ == "__main__":
    for name, value in row_rates().items():
        print(f"{name:32} {value:8,.2f}")
