"""``scgpt-drift``: compare a window of requests with the frozen baseline of its version. A job.

Looks share one budget of false alarms: each may take so much of a year's as time has passed since
the look before it. Who looks twice as often gets no more false alarms, and needs more data sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.compute

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence.reference import KEY, Frozen, freeze, thaw
from scgpt_databricks.model.judge.drift import CAUSES, FEWEST_DATA_SETS, Finding, find_drift

from . import delta
from .baselines import Baselines, baselines_in, store_baseline
from .samples import Read, Requests, Window, cells_of, requests_of

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

pa: Any = pyarrow
pc: Any = pyarrow.compute

MODEL = "model"
"""The cause that needs no statistics: the answers name another model than the baseline does."""
ANOTHER = "answers of another model"

_YEAR = timedelta(days=365)
_ROWS_AT_A_TIME = 4_096
_MADE = "`scgpt monitor init ENV` makes it"


@dataclass(frozen=True)
class Look:
    """A look at one version: one finding for each cause."""

    version: int
    served_entity: str
    window: Window
    data_sets: int
    requests: int
    cells: int
    baseline_digest: str | None
    findings: tuple[Finding, ...]

    def rows(self, moment: datetime) -> list[dict[str, Any]]:
        """Return the look as rows of the drift table."""
        common = {
            "looked_at": moment,
            "window_start": self.window.start,
            "window_end": self.window.end,
            "served_entity": self.served_entity,
            "version": self.version,
            "data_sets": self.data_sets,
            "requests": self.requests,
            "cells": self.cells,
            "baseline_digest": self.baseline_digest,
        }
        return [{**common, **asdict(found)} for found in self.findings]


def look_at(
    read: Read,
    baselines: Baselines,
    window: Window,
    *,
    false_alarms: float,
    last: Mapping[int, datetime],
) -> list[Look]:
    """Look at each version that answered in a window.

    Parameters
    ----------
    false_alarms
        Chance of one or more false alarms in a year, per version.
    last
        End of the window of each version's last look.
    """
    looks = []
    for version, requests in requests_of(read).items():
        since = window.end - last.get(version, window.start)
        alpha = false_alarms * max(since / _YEAR, 0.0)
        looks.append(_look(read, version, requests, baselines, window, alpha))
    return looks


def _look(
    read: Read,
    version: int,
    requests: Requests,
    baselines: Baselines,
    window: Window,
    alpha: float,
) -> Look:
    try:
        frozen = _frozen(baselines, version)
    except InvalidRequest as error:
        findings = [Finding(cause, note=error.message) for cause in (MODEL, *CAUSES)]
        digest, cells = None, 0
    else:
        digest = frozen.digest
        found = cells_of(read, requests, digest=digest, common=(frozen.genes, frozen.rates))
        cells = len(found.sample.data_set)
        findings = [
            _model(requests, frozen),
            *find_drift(frozen.reference, found.sample, alpha=alpha),
        ]
    return Look(
        version,
        requests.served_entity,
        window,
        len(requests.data_sets),
        len(requests.of),
        cells,
        digest,
        tuple(findings),
    )


def _frozen(baselines: Baselines, version: int) -> Frozen:
    baseline = baselines(version)
    if baseline is None:
        raise InvalidRequest(
            "no_baseline",
            f"no baseline of version {version} is frozen: run scgpt monitor freeze.",
        )
    return thaw(baseline)


def _model(requests: Requests, frozen: Frozen) -> Finding:
    """Say if the answers name the model that the baseline is of: a fact, and no test."""
    total = sum(requests.digests.values())
    if not total:
        return Finding(MODEL, note="no answer was logged")
    others = total - requests.digests[frozen.digest]
    name = ANOTHER if others else ""
    return Finding(MODEL, name, alarm=bool(others), effect=others / total)


def freeze_window(read: Read, version: int | None, window: Window) -> tuple[int, dict[str, Any]]:
    """Return a version and the baseline that its requests of a window make.

    Raises
    ------
    InvalidRequest
        ``no_requests``, ``several_versions``, or too little for a baseline.
    """
    by_version = requests_of(read)
    if version is None and len(by_version) > 1:
        raise InvalidRequest(
            "several_versions",
            f"versions {', '.join(map(str, by_version))} answered: name one with --version.",
        )
    chosen = version if version is not None else next(iter(by_version), 0)
    if chosen not in by_version:
        raise InvalidRequest(
            "no_requests", "no request for embeddings of cells was answered and unpacked then."
        )
    requests = by_version[chosen]
    digest = requests.digests.most_common(1)[0][0] if requests.digests else None
    found = cells_of(read, requests, digest=digest)
    large = found.sample.large()
    if len(large.names) < FEWEST_DATA_SETS or digest is None:
        raise InvalidRequest(
            "too_few_data_sets",
            f"there are {len(large.names)} data sets of enough cells; a baseline takes "
            f"{FEWEST_DATA_SETS} or more. Give it more days.",
        )
    frozen = freeze(
        found.sample,
        found.matched,
        found.unknown,
        digest=digest,
        genes=found.genes,
        rates=found.rates,
    )
    span = {"from": window.start.isoformat(), "to": window.end.isoformat()}
    return chosen, {"format": 2, "data": span, "model_digest": digest, KEY: frozen}


class Tables:
    """The tables of an environment, as this machine reads them."""

    def __init__(self, client: WorkspaceClient, table: str) -> None:
        places = {
            kind: delta.location(client, beside(table, kind), _MADE)
            for kind in ("requests", "cells", "detection", "drift")
        }
        if not all(map(delta.is_local, places.values())):
            raise DeployError("the tables lie on Databricks, where the job looks for drift")
        self._places = places

    def reader(self, window: Window) -> Read:
        """Return a function that reads the rows of a window."""
        time, kind = pc.field("request_time"), pa.timestamp("us", tz="UTC")
        start, end = (pa.scalar(at, kind) for at in (window.start, window.end))
        where = (time >= start) & (time < end)

        def read(table: str, columns: Sequence[str]) -> Any:
            files = delta.open_table(self._places[table]).file_uris()
            names = {name: name for name in columns}
            return delta.batches(files, names, _ROWS_AT_A_TIME, where)

        return read

    def last_looks(self) -> dict[int, datetime]:
        """Return the end of each version's last window."""
        names = {"version": "version", "window_end": "window_end"}
        files = delta.open_table(self._places["drift"]).file_uris()
        found: dict[int, datetime] = {}
        for batch in delta.batches(files, names, _ROWS_AT_A_TIME):
            for row in batch.to_pylist():
                before = found.get(row["version"], row["window_end"])
                found[row["version"]] = max(before, row["window_end"])
        return found

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append looks."""
        if rows:
            schema = delta.arrow_schema(TABLES["drift"])
            table = pa.Table.from_pylist([dict(row) for row in rows], schema)
            delta.append(delta.open_table(self._places["drift"]), table, {})


def window_of(days: float, end: datetime | None = None) -> Window:
    """Return the window of so many days that ends now."""
    end = end or datetime.now(UTC)
    return Window(end - timedelta(days=days), end)


def run(
    client: WorkspaceClient,
    table: str,
    *,
    baselines: str,
    days: float,
    false_alarms: float,
    end: datetime | None = None,
    write: bool = True,
) -> list[dict[str, Any]]:
    """Look, and write what was found; return the rows.

    Parameters
    ----------
    table
        Full name of the inference table.
    baselines
        Folder of the frozen baselines.
    days
        Length of the window.
    false_alarms
        As in :func:`look_at`.
    end
        End of the window; None: now.
    write
        Leave out for a look that counts for nothing.
    """
    tables, window = tables_of(client, table), window_of(days, end)
    looks = look_at(
        tables.reader(window),
        baselines_in(client, baselines),
        window,
        false_alarms=false_alarms,
        last=tables.last_looks(),
    )
    rows = [row for look in looks for row in look.rows(datetime.now(UTC))]
    if write:
        tables.write(rows)
    return rows


def tables_of(client: WorkspaceClient, table: str) -> Any:
    """Return the tables, through deltalake or on Databricks through the job's Spark session."""
    if delta.is_local(delta.location(client, beside(table, "requests"), _MADE)):
        return Tables(client, table)
    from pyspark.sql import SparkSession

    from .spark import SparkTables

    return SparkTables(SparkSession.builder.getOrCreate(), table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the wheel; credentials come from where it runs."""
    parser = argparse.ArgumentParser(prog="scgpt-drift", description=__doc__)
    parser.add_argument("--table", required=True, help="full name of the inference table")
    parser.add_argument("--warehouse", help="not used; every job is told")
    parser.add_argument("--baselines", required=True, help="folder of the frozen baselines")
    parser.add_argument("--days", type=float, default=7, help="length of the window")
    parser.add_argument("--false-alarms", type=float, default=0.05, help="chance in a year")
    parser.add_argument("--freeze", action="store_true", help="freeze the window as a baseline")
    parser.add_argument("--version", type=int, help="version to freeze")
    given = parser.parse_args(arguments)
    from databricks.sdk import WorkspaceClient

    client = WorkspaceClient()
    if given.freeze:
        window = window_of(given.days)
        read = tables_of(client, given.table).reader(window)
        version, baseline = freeze_window(read, given.version, window)
        path = store_baseline(client, given.baselines, version, baseline)
        said: dict[str, Any] = {"version": version, "path": path}
    else:
        looked = run(
            client,
            given.table,
            baselines=given.baselines,
            days=given.days,
            false_alarms=given.false_alarms,
        )
        said = {"looks": looked}
    sys.stdout.write(json.dumps(said, default=str) + "\n")


if __name__ == "__main__":
    main()
