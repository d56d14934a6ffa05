"""The KPI SQL over a million requests, beside a plain scan of the columns that it reads."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow
from deltalake import DeltaTable, write_deltalake
from sqlglot import exp

from benchmarks.figures import ROOT, Figure
from benchmarks.memory import peak_mib
from scgpt_databricks.infra import monitoring
from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import Principal, Workspace
from scgpt_databricks.local_workspace.serving.inference import SCHEMA
from scgpt_databricks.local_workspace.sql import execution, query
from scgpt_databricks.scripts.monitoring.delta import arrow_schema

pa: Any = pyarrow

TABLE = "main.scgpt.x_payload"
FEW, MANY, RUNS = 100_000, 1_000_000, 3
DAYS = 7
KPIS = ("kpi", "refusals", "per_hour", "per_day", "errors")
"""Tables of the report that read every request."""
_ADMIN = Principal("1", "admin@local.test", ("admins",))
_AT_A_TIME = 50_000


def figures() -> list[Figure]:
    """Return the figures of ``make bench``."""
    return [*times(), *memory()]


def times() -> list[Figure]:
    """Measure all KPI queries, and the scans of what they read, in turns."""
    with tempfile.TemporaryDirectory(prefix="bench-kpis-") as folder:
        place = made(Path(folder), MANY)
        found = [
            (sum(_seconds(run) for run in asked(place)), sum(_seconds(run) for run in scans(place)))
            for _ in range(RUNS)
        ]
    ours, plain = (statistics.median(column) for column in zip(*found, strict=True))
    note = f"{MANY:,} requests; {', '.join(KPIS)}"
    return [Figure("kpi_sql", ours, plain, ours / plain, "s", "none", "<= 3", note)]


def memory() -> list[Figure]:
    """Measure the peak of the queries over many requests, over that of few."""
    peaks = {}
    for requests in (FEW, MANY):
        with tempfile.TemporaryDirectory(prefix="bench-kpis-") as folder:
            made(Path(folder), requests)
            command = [sys.executable, "-m", "benchmarks.kpis", folder]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            peaks[requests] = float(done.stdout)
    ratio, note = peaks[MANY] / peaks[FEW], f"{MANY:,} and {FEW:,} requests"
    return [Figure("kpi_memory", peaks[MANY], peaks[FEW], ratio, "MiB", "none", "<= 1.3", note)]


def asked(place: Workspace) -> Iterator[Callable[[], object]]:
    """Yield each KPI query as a statement of the local workspace."""
    for report in monitoring.REPORTS:
        if report.key in KPIS:
            text = monitoring.asked(report, table=TABLE, endpoint="e", hours=24 * DAYS)
            yield partial(statement, place, text)


def statement(place: Workspace, text: str) -> list[list[str | None]]:
    """Run a statement as the workspace's worker does."""
    prepared = query.prepare(place, _ADMIN, text, (None, None), [])
    sources = query.sources(place, _ADMIN, prepared)
    with execution.connect(prepared, sources, _nobody) as connection:
        return execution.run(connection, prepared, None).rows


def _nobody(_: object) -> Any:
    raise AssertionError("no query of ours asks an endpoint")


def scans(place: Workspace) -> Iterator[Callable[[], object]]:
    """Yield for each KPI query a scan of its columns, by DuckDB alone."""
    connection = duckdb.connect(config={"threads": "2"})
    for report in monitoring.REPORTS:
        if report.key not in KPIS:
            continue
        text = monitoring.asked(report, table=TABLE, endpoint="e", hours=24 * DAYS)
        (table,) = query.prepare(place, _ADMIN, text, (None, None), []).tables
        data = DeltaTable(str(place.tables / table))
        read = {column.name for column in query.parse(text).find_all(exp.Column)}
        there = [name for name in data.to_pyarrow_dataset().schema.names if name in read]
        files = [uri.removeprefix("file://") for uri in data.file_uris()]
        columns = ", ".join(f"max({name})" for name in there)
        scan = f"SELECT {columns} FROM read_parquet({files})"  # noqa: S608 - names of our own
        yield partial(_scan, connection, scan)


def _scan(connection: duckdb.DuckDBPyConnection, text: str) -> list[Any]:
    return connection.execute(text).fetchall()


def made(folder: Path, requests: int) -> Workspace:
    """Return a workspace with so many requests of a week, and what they were unpacked to."""
    place = Workspace(folder, "http://127.0.0.1:1")
    for kind, name in (("catalogs", "main"), ("schemas", "main.scgpt")):
        place.store.put(kind, name, {"full_name": name, "owner": _ADMIN.name})
    for kind, schema in (("payload", SCHEMA), ("requests", arrow_schema(TABLES["requests"]))):
        name = f"main.scgpt.x_{kind}"
        path = place.tables / name
        for start in range(0, requests, _AT_A_TIME):
            rows = _rows(start, min(_AT_A_TIME, requests - start), requests, schema)
            write_deltalake(str(path), rows, mode="append")
        if place.store.get("tables", name) is None:
            securables.register_table(
                place, name, owner=_ADMIN.name, columns=[], storage_location=path.as_uri()
            )
    return place


def _rows(start: int, many: int, requests: int, schema: Any) -> Any:
    rng = np.random.default_rng(start)
    number = np.arange(start, start + many)
    begin = datetime.now(UTC) - timedelta(days=DAYS)
    seconds = number * (DAYS * 86_400 / requests)
    times = [begin + timedelta(seconds=float(each)) for each in seconds]
    cells = rng.integers(1, 150, many)
    known: dict[str, Any] = {
        "databricks_request_id": [f"{each:032x}" for each in number],
        "request_time": times,
        "request_date": [each.date() for each in times],
        "status_code": rng.choice([200, 200, 200, 200, 400, 500], many).astype(np.int32),
        "execution_duration_ms": rng.integers(5, 4_000, many),
        "requester": [f"user-{each}@lab.org" for each in rng.integers(0, 12, many)],
        "served_entity_id": [f"{each:032d}" for each in rng.integers(0, 2, many)],
        "client_request_id": [f"set-{each // 20}-{each % 20}" for each in number],
        "request": [f'{{"dataframe_records": [{{"packed": "{each:0200x}"}}]}}' for each in number],
        "response": [f'{{"predictions": [{{"packed": "{each:0200x}"}}]}}' for each in number],
        "logging_error_codes": [[]] * many,
        "version": rng.integers(3, 5, many).astype(np.int32),
        "cells": cells,
        "tokens": cells * 900,
        "truncated_cells": cells // 20,
        "matched_genes": cells * 900,
        "unknown_genes": cells * 50,
        "request_bytes": cells * 2_000,
        "response_bytes": cells * 1_500,
    }
    columns = [
        pa.array(known[field.name], field.type)
        if field.name in known
        else pa.nulls(many, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    for run in asked(Workspace(Path(sys.argv[1]), "http://127.0.0.1:1")):
        run()
    print(peak_mib())
