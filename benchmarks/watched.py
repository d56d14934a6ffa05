"""Unpacking and the drift test: what they cost beside what they cannot do without."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow
from deltalake import DeltaTable, write_deltalake
from scipy import sparse

from benchmarks.donors import donors
from benchmarks.figures import ROOT, Figure
from benchmarks.memory import peak_mib
from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.local_workspace.serving.inference import SCHEMA
from scgpt_databricks.model.judge.drift import find_drift, make_reference
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import PackedEmbeddings, encode_cells, encode_embeddings
from scgpt_databricks.model.wire.envelope import KIND_CELL_EMBEDDINGS, KIND_CELLS, Body
from scgpt_databricks.scripts.monitoring import delta, unpack

pa: Any = pyarrow

TABLE = "main.bench.x_payload"
CELLS, WIDTH, REQUESTS, RUNS = 100, 512, 100, 5
FEW, MANY = 100, 1_000


class Place:
    """A client that knows the tables of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tables = folder, self

    def get(self, full_name: str) -> Any:
        path = self.folder / full_name
        return type("Table", (), {"storage_location": path.as_uri()})()


def figures() -> list[Figure]:
    """Return the figures of ``make bench``."""
    return [*unpacked_rows(), *drift_test(), *unpacking_memory()]


def unpacked_rows() -> list[Figure]:
    """Cells per second that are unpacked and written, against reading their Parquet.

    Seconds are those of processors: reading takes so few that a moment of another process's, in one
    of the two, doubled the ratio or halved it. Of three readings the fastest counts: one that must
    ask the system for memory takes up to five times as long.
    """
    _unpack_and_read()  # the first one imports
    times = [_unpack_and_read() for _ in range(RUNS)]
    ours, bare, read = (median(column) for column in zip(*times, strict=True))
    cells = REQUESTS * CELLS
    note = f"{REQUESTS} packed requests of {CELLS} cells, {WIDTH} numbers each"
    rates = cells / ours, cells / read
    share = "base64, zlib and JSON of every payload, and the same rows written by deltalake"
    return [
        Figure("unpacked_rows", *rates, ours / read, "cells/s", "none", "<= 5", note),
        Figure("unpacking_that_remains", bare, ours, bare / ours, "s", "none", "explains", share),
    ]


def _unpack_and_read() -> tuple[float, float, float]:
    """Return the seconds of unpacking, of what no unpacking can do without, and of reading."""
    with tempfile.TemporaryDirectory(prefix="bench-unpack-") as folder:
        place = logged(Path(folder), REQUESTS)
        ours = _seconds(lambda: _unpack(place), time.process_time)
        cells = DeltaTable(str(place.folder / "main.bench.x_cells"))
        files, columns = cells.file_uris(), {column.name: column.name for column in TABLES["cells"]}
        rows = cells.to_pyarrow_table()

        def read() -> list[int]:
            return [*map(len, delta.batches(files, columns, 1_024))]

        def bare() -> None:
            _open_payloads(place)
            delta.append(cells, rows, {})

        least = min(_seconds(read, time.process_time) for _ in range(3))
        return ours, _seconds(bare, time.process_time), least


def _open_payloads(place: Place) -> None:
    files = DeltaTable(str(place.folder / TABLE)).file_uris()
    for batch in delta.batches(files, {"request": "request", "response": "response"}, 16):
        for row in batch.to_pylist():
            Body(json.loads(row["request"])["dataframe_records"][0]["packed"], KIND_CELLS)
            Body(json.loads(row["response"])["predictions"][0]["packed"], KIND_CELL_EMBEDDINGS)


def drift_test() -> list[Figure]:
    """A look at 2 x 5,000 cells, against one kernel between all of them."""
    rng = np.random.default_rng(0)
    old, new = (donors(rng, 50, cells=100, width=WIDTH) for _ in range(2))
    reference = make_reference(old, 8)
    assert old.embeddings is not None
    assert new.embeddings is not None
    cells = np.concatenate([old.embeddings, new.embeddings])

    def kernel() -> float:
        lengths = (cells**2).sum(axis=1)
        found = cells @ cells.T
        found *= 2
        found -= lengths[:, None]
        found -= lengths
        found *= reference.gamma
        np.exp(found, out=found)
        return float(found.sum())

    times = [
        (_seconds(lambda: find_drift(reference, new, alpha=0.001)), _seconds(kernel))
        for _ in range(RUNS)
    ]
    ours, bare = (min(column) for column in zip(*times, strict=True))
    note = "2 x 5,000 x 512, 100 data sets, all three causes"
    return [Figure("drift_test", ours, bare, ours / bare, "s", "none", "<= 2", note)]


def unpacking_memory() -> list[Figure]:
    """Peak memory of unpacking many requests over that of few; flat when it is 1."""
    peaks = {}
    for requests in (FEW, MANY):
        with tempfile.TemporaryDirectory(prefix="bench-unpack-") as folder:
            logged(Path(folder), requests)
            command = [sys.executable, "-m", "benchmarks.watched", folder]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            peaks[requests] = float(done.stdout)
    note = f"{MANY:,} and {FEW:,} requests of {CELLS} cells"
    ratio = peaks[MANY] / peaks[FEW]
    return [
        Figure("unpacking_memory", peaks[MANY], peaks[FEW], ratio, "MiB", "none", "<= 1.3", note)
    ]


def logged(folder: Path, requests: int) -> Place:
    """Make the tables, and log requests for real cells in files of 50."""
    for kind, columns in TABLES.items():
        path = str(folder / f"main.bench.x_{kind}")
        DeltaTable.create(path, delta.arrow_schema(columns))
    DeltaTable.create(str(folder / TABLE), SCHEMA)
    data, rng = pbmc_cells(), np.random.default_rng(0)
    counts, genes = sparse.csr_matrix(data.X).ceil(), [str(name) for name in data.var_names]
    for start in range(0, requests, 50):
        rows = [_row(number, counts, genes, rng) for number in range(start, start + 50)]
        table = pa.Table.from_pylist(rows, SCHEMA)
        write_deltalake(str(folder / TABLE), table, mode="append")
    return Place(folder)


def _row(
    number: int, counts: sparse.csr_matrix, genes: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    ids = [f"cell-{i}" for i in range(CELLS)]
    chosen = rng.integers(0, counts.shape[0], CELLS)
    vectors = rng.normal(size=(CELLS, WIDTH)).astype(np.float32)
    matched, none = np.full(CELLS, 250), np.zeros(CELLS, np.int64)
    answer = PackedEmbeddings(ids, vectors, matched, none, none, [], "d" * 64)
    line = {"packed": encode_embeddings(answer, "float16"), "input_row": 0}
    packed = encode_cells(counts[chosen], genes, ids)
    time_ = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "databricks_request_id": f"r{number}",
        "request_date": time_.date(),
        "request_time": time_,
        "status_code": 200,
        "request": json.dumps({"dataframe_records": [{"packed": packed}]}),
        "response": json.dumps({"predictions": [{**line, "model_digest": "d" * 64}]}),
    }


def _unpack(place: Place) -> unpack.Done:
    client: Any = place
    return unpack.unpack(client, TABLE, entities={})


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


if __name__ == "__main__":
    _unpack(Place(Path(sys.argv[1])))
    print(peak_mib())
