"""``scgpt-unpack``: logged payloads as tidy tables, one row per request and one per cell. A job.

A request is in each table once. The inference table delivers at least once, a run may be killed
between two tables, and files may be rewritten: so a row is written only where its request is not
there yet. How far a run came is in the log of the requests table, by the version of the inference
table, so nothing here depends on a clock.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.compute

from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.infra.naming import beside

from . import delta
from .baselines import baselines_in, means_of
from .delta import arrow_schema
from .rows import Entity, Means, Rows, number, source_columns, usable

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from deltalake import DeltaTable

pa: Any = pyarrow
pc: Any = pyarrow.compute

KINDS = ("cells", "detection", "set_aside", "requests")
"""Tables that are filled, in this order: what stands in the last one is done."""

_APPLICATION = "scgpt-unpack"
_POSITION = "scgpt-unpack-read"
_ROWS_AT_A_TIME = 16  # payloads have up to two MiB
_CELLS_A_COMMIT = 20_000
_REQUESTS_A_COMMIT = 5_000
_FIRST = "it appears with the first request that is logged"

Report = Callable[[str], None]


@dataclass
class Done:
    """The rows that a run wrote."""

    table: str
    requests: int = 0
    cells: int = 0
    set_aside: int = 0
    not_logged: int = 0
    duplicates: int = 0
    read: int = 0


def unpack(
    client: WorkspaceClient,
    table: str,
    *,
    entities: Mapping[str, Entity],
    means: Means | None = None,
    source: str | None = None,
    report: Report = lambda _: None,
) -> Done:
    """Unpack what the inference table got since the last run.

    Parameters
    ----------
    table
        Full name of the inference table; the other tables stand beside it.
    entities
        Id of a served entity -> its name and version.
    means
        Version -> mean embedding of its baseline.
    source
        Full name of another table to read, for example a legacy one.

    Raises
    ------
    DeployError
        A table is missing, may not be read, is no inference table, or another run writes too.
    """
    made = "`scgpt monitor init ENV` makes it"
    filled = {
        kind: delta.open_table(delta.location(client, beside(table, kind), made)) for kind in KINDS
    }
    logged = source or table
    place = delta.location(client, logged, _FIRST)
    run = _Run(delta.open_table(place), logged, filled, Rows(entities, means))
    return run.all(report)


class _Run:
    """One run over one source."""

    def __init__(
        self,
        source: DeltaTable,
        name: str,
        filled: Mapping[str, DeltaTable],
        rows: Rows,
    ) -> None:
        self._source, self._filled, self._rows = source, filled, rows
        self._columns = source_columns(pa.schema(source.schema().to_arrow()).names, name)
        self._position = f"{_POSITION}-{source.metadata().id}"
        self._number = filled["requests"].transaction_version(_APPLICATION) or 0
        self._known: dict[date, dict[str, set[str]]] = {}
        self._done = Done(name)

    def all(self, report: Report) -> Done:
        """Read every file that is new, and remember that it was read."""
        version = self._source.version()
        position = self._filled["requests"].transaction_version(self._position)
        if position is not None and position >= version:
            return self._done
        files = delta.files_since(self._source, position)
        waiting = _Waiting()
        for batch in delta.batches(files, self._columns, _ROWS_AT_A_TIME):
            self._take(batch, waiting)
            if waiting.is_full:
                self._write(waiting, {})
                waiting = _Waiting()
                report(f"{self._done.requests} requests, {self._done.cells} cells")
        self._write(waiting, {self._position: version})
        return self._done

    def _take(self, batch: Any, waiting: _Waiting) -> None:
        """Unpack the requests of a batch that are in no table yet."""
        self._done.read += batch.num_rows
        batch, broken = usable(batch)
        ids, days = batch["databricks_request_id"].to_pylist(), _days(batch)
        new = []
        for at, (request, day) in enumerate(zip(ids, days, strict=True)):
            seen = self._known_of(day)["requests"]
            if request not in seen:
                seen.add(request)
                new.append(at)
        self._done.duplicates += len(ids) - len(new)
        self._done.set_aside += len(broken)
        waiting.add("set_aside", broken)
        if not new:
            return
        unread = batch if len(new) == len(ids) else batch.take(pa.array(new))
        parts = self._rows.unpack(unread)
        for kind, rows in parts.items():
            waiting.add(kind, self._unwritten(kind, rows))

    def _unwritten(self, kind: str, rows: Any) -> Any:
        """Leave out what a killed run wrote before it could write the requests."""
        if kind == "requests":
            return rows
        days = rows["request_date"].unique().to_pylist()
        written = set().union(*(self._known_of(day)[kind] for day in days))
        if not written:
            return rows
        return rows.filter(pc.invert(pc.is_in(rows["databricks_request_id"], pa.array(written))))

    def _known_of(self, day: date) -> dict[str, set[str]]:
        """Return the requests of a day that each table holds; of the others, what is too much."""
        if day not in self._known:
            requests = _ids_of(self._filled["requests"], day)
            others = {kind: _ids_of(self._filled[kind], day) - requests for kind in KINDS[:-1]}
            self._known[day] = {**others, "requests": requests}
        return self._known[day]

    def _write(self, waiting: _Waiting, position: Mapping[str, int]) -> None:
        self._number += 1
        for kind in KINDS:
            rows = waiting.table(kind)
            is_last = kind == "requests"
            if rows.num_rows or (is_last and position):
                more = position if is_last else {}
                delta.append(self._filled[kind], rows, {_APPLICATION: self._number, **more})
        requests = waiting.table("requests")
        self._done.requests += requests.num_rows
        self._done.cells += waiting.table("cells").num_rows
        reasons = requests["reason"].to_pylist()
        self._done.set_aside += reasons.count("malformed")
        self._done.not_logged += sum(str(reason).endswith("not_logged") for reason in reasons)


class _Waiting:
    """Rows that are not written yet."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Any]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, rows: Any) -> None:
        if rows.num_rows:
            self._parts[kind].append(rows)

    def table(self, kind: str) -> Any:
        return pa.Table.from_batches(self._parts[kind], arrow_schema(TABLES[kind]))

    @property
    def is_full(self) -> bool:
        cells = sum(part.num_rows for part in self._parts["cells"])
        requests = sum(part.num_rows for part in self._parts["requests"])
        return bool(cells >= _CELLS_A_COMMIT or requests >= _REQUESTS_A_COMMIT)


def _days(batch: Any) -> list[date]:
    days: list[date] = batch["request_time"].cast(pa.date32()).to_pylist()
    return days


def _ids_of(table: DeltaTable, day: date) -> set[str]:
    wanted = pc.field("request_date") == pa.scalar(day)
    columns = {"databricks_request_id": "databricks_request_id"}
    found: set[str] = set()
    for batch in delta.batches(table.file_uris(), columns, 50_000, wanted):
        found |= {*batch["databricks_request_id"].to_pylist()}
    return found - {None}


def served_entities(client: WorkspaceClient, warehouse: str) -> dict[str, Entity]:
    """Return every served entity that the system tables know, by its id."""
    from .statements import rows

    statement = (
        "SELECT served_entity_id, served_entity_name, entity_version "
        "FROM system.serving.served_entities"
    )
    return {
        key: Entity(name, number(version))
        for key, name, version in rows(client, statement, warehouse)
    }


def run(
    client: WorkspaceClient,
    table: str,
    warehouse: str,
    *,
    baselines: str,
    source: str | None = None,
    report: Report = lambda _: None,
) -> Done:
    """Unpack with what this machine has: deltalake, or on Databricks the job's Spark session."""
    entities = served_entities(client, warehouse)
    versions = {each.version for each in entities.values() if each.version is not None}
    means = means_of(baselines_in(client, baselines), versions)
    place = delta.location(client, source or table, _FIRST)
    if delta.is_local(place):
        return unpack(client, table, entities=entities, means=means, source=source, report=report)
    from pyspark.sql import SparkSession

    from . import spark

    session = SparkSession.builder.getOrCreate()
    return spark.unpack(session, table, entities=entities, means=means, source=source)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-unpack", description=__doc__)
    parser.add_argument("--table", required=True, help="full name of the inference table")
    parser.add_argument("--warehouse", required=True, help="id of the SQL warehouse")
    parser.add_argument("--baselines", required=True, help="folder of the frozen baselines")
    parser.add_argument("--source", help="another table to read, for example a legacy one")
    given = parser.parse_args(arguments)
    from databricks.sdk import WorkspaceClient

    where = {"baselines": given.baselines, "source": given.source}
    found = run(WorkspaceClient(), given.table, given.warehouse, **where)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
