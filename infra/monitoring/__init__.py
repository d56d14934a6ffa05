"""The things that are watched: alerts, tiles of the dashboard and jobs, one entry each.

The next alert, tile or job is one more entry in :data:`ALERTS`, :data:`TILES` or :data:`JOBS`, and
where it asks something new, one more SQL file beside this one. Everything else (warehouse, time
zone, who is told) comes from the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..naming import beside

_SQL = Path(__file__).parent
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

AUTO_STOP_MINUTES = 10
"""The warehouse stops so long after its last query."""
REMIND_SECONDS = 3600
"""After which an alert that still fires is told again."""
LONGEST_SECONDS = 3600
"""A run of a job may take so long."""
PROFILE_GRANULARITY = "AGGREGATION_GRANULARITY_1_HOUR"
"""Span of time over which the platform's own monitor adds up."""
PROFILE_TIME, PROFILE_SLICES = "request_time", ("served_entity",)
"""Its column of time, and what it adds up apart."""
JOB_ENVIRONMENT_VERSION = "4"
"""The version of serverless compute."""
JOB_ENVIRONMENT_KEY = "wheel"
"""By which a task finds its environment."""


def quoted(full_name: str) -> str:
    """A dotted name as it stands in SQL: what is no plain word of it in backticks."""
    return ".".join(
        part if _PLAIN.fullmatch(part) else "`" + part.replace("`", "``") + "`"
        for part in full_name.split(".")
    )


def query(name: str, *, table: str, hours: int = 0, **values: str | int | float) -> str:
    """The SQL of one file in this folder, for one environment.

    Parameters
    ----------
    name
        File name without the ending.
    table
        Full name of the inference table; those that stand beside it follow from it.
    hours
        How far back it looks.
    values
        What else the file leaves open.
    """
    given = {
        **values,
        "table": quoted(table),
        "hours": hours,
        # A day is a part of the table: days that cannot hold an answer are not read.
        "days_back": hours // 24 + 1,
        **{
            f"{kind}_table": quoted(beside(table, kind)) for kind in ("requests", "status", "drift")
        },
    }
    given["requests"] = _text("once").format(**given)
    return _text(name).format(**given).strip()


def _text(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8").rstrip()


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Fires when one column of a query's only row is above a threshold."""

    key: str
    """Logical id."""
    title: str
    said: str
    """Its meaning, and what to do."""
    sql: str
    values: dict[str, int] = field(default_factory=dict)
    column: str
    threshold: str | float
    """A number, or the key of the table ``monitoring`` in the environment's file that gives it."""

    @property
    def summary(self) -> str:
        """The message, which names the runbook."""
        return f"{self.said} Runbook: docs/runbooks/{self.key}.md"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One chart of the dashboard over time."""

    key: str
    title: str
    sql: str
    values: dict[str, int] = field(default_factory=dict)
    """The same in all tiles over one file."""
    x: str
    y: str
    chart: Literal["bar", "line"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One entry point of the wheel, on a schedule.

    It is called with ``--table`` and ``--warehouse`` beside its own parameters.
    """

    key: str
    title: str
    entry_point: str
    parameters: tuple[str, ...]
    """Braces are filled in with ``baselines``, ``endpoint`` and keys of ``monitoring``."""
    schedule: str
    """Quartz, in the environment's time zone."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One table of the report, and a saved query of the same name."""

    key: str
    title: str
    sql: str
    values: dict[str, int] = field(default_factory=dict)
    """Beside ``hours``, which the report is asked for."""
    longest_hours: int | None = None
    """It never looks further back."""
    needs: str = ""
    """Command that makes what it reads, where that is no inference table."""


def asked(report: Report, *, table: str, endpoint: str, hours: int = 168) -> str:
    """Return the SQL of one table of the report, of the last hours."""
    back = min(hours, report.longest_hours or hours)
    return query(report.sql, table=table, hours=back, endpoint=endpoint, **report.values)


def arguments(job: Job, *, table: str, warehouse: str, **values: object) -> list[str]:
    """Return what a job is called with in one environment."""
    own = [each.format(**values) for each in job.parameters]
    return ["--table", table, "--warehouse", warehouse, *own]


ALERTS = (
    # Rows arrive up to an hour late: what looks at rates looks two hours back.
    Alert(
        key="error_rate",
        title="error rate",
        said="More requests fail than allowed. See the dashboard, then the endpoint's logs; where "
        "it began with a release, roll that back.",
        sql="error_rate",
        values={"hours": 2},
        column="error_rate",
        threshold="error_rate_threshold",
    ),
    Alert(
        key="slow",
        title="slow answers",
        said="Answers take longer for each token than allowed. See `scgpt status`: device and "
        "load.",
        sql="ms_per_token",
        values={"hours": 2, "fewest_tokens": 50},
        column="p95_ms_per_token",
        threshold="ms_per_token_threshold",
    ),
    Alert(
        key="volume",
        title="unusual volume",
        said="Many more or many fewer requests than in the week before.",
        sql="volume",
        values={"hours": 168, "fewest": 20},
        column="times_usual",
        threshold="volume_threshold",
    ),
    Alert(
        key="versions",
        title="several versions answer",
        said="More versions answered than allowed: embeddings of two versions must not be mixed.",
        sql="versions",
        values={"hours": 2},
        column="versions",
        threshold="versions_threshold",
    ),
    Alert(
        key="device_fallback",
        title="device fallback",
        said="A served entity has a GPU and computes on its CPU.",
        sql="device_fallback",
        values={"hours": 3},
        column="on_cpu",
        threshold="devices_threshold",
    ),
    Alert(
        key="drift",
        title="drift",
        said="Requests or answers are not what they were at the promotion.",
        sql="drift",
        values={"hours": 192},  # the job looks once a week
        column="alarms",
        threshold="drift_threshold",
    ),
)

_WEEK = {"hours": 168}


def _tile(key: str, title: str, y: str, chart: Literal["bar", "line"], sql: str) -> Tile:
    return Tile(key=key, title=title, sql=sql, values=_WEEK, x="hour", y=y, chart=chart)


TILES = (
    _tile("requests", "Requests per hour", "requests", "bar", "per_hour"),
    _tile("error_rate", "Error rate per hour", "error_rate", "line", "per_hour"),
    _tile("p95_ms", "95th percentile of the time in ms", "p95_ms", "line", "per_hour"),
    _tile("refused", "Refused requests per hour", "refused", "bar", "per_hour"),
    _tile("cells", "Cells per hour", "cells", "bar", "kpi"),
    _tile("tokens", "Tokens per hour", "tokens", "bar", "kpi"),
    _tile("coverage", "Share of genes that the vocabulary knows", "coverage", "line", "kpi"),
    _tile("truncated_cells", "Truncated cells per hour", "truncated_cells", "bar", "kpi"),
)

_UNPACKED = "scgpt monitor init"

REPORTS = (
    Report(key="per_hour", title="Requests of each hour", sql="per_hour"),
    Report(key="per_day", title="Requests of each day", sql="per_day"),
    Report(key="kpi", title="Cells by hour, version and requester", sql="kpi", needs=_UNPACKED),
    Report(key="refusals", title="Refusals by reason", sql="refusals", needs=_UNPACKED),
    Report(key="errors", title="Errors by status code", sql="errors_by_status"),
    Report(
        key="slow",
        title="Slow requests",
        sql="slow_requests",
        values={"above_ms": 5000, "most": 20},
    ),
    Report(
        key="recent",
        title="Newest requests",
        sql="recent_requests",
        values={"most": 100},
        longest_hours=168,
    ),
    Report(
        key="drift",
        title="Drift",
        sql="drift_looks",
        values={"most": 40},
        needs="scgpt monitor drift",
    ),
    Report(key="usage", title="Usage as the platform counts it", sql="usage"),
    Report(key="cost", title="Cost at list price", sql="cost"),
)

JOBS = (
    Job(
        key="unpack",
        title="unpack payloads",
        entry_point="scgpt-unpack",
        parameters=("--baselines", "{baselines}"),
        schedule="0 20 * * * ?",
    ),
    Job(
        key="drift",
        title="look for drift",
        entry_point="scgpt-drift",
        parameters=(
            *("--baselines", "{baselines}"),
            *("--days", "{drift_days}", "--false-alarms", "{drift_false_alarms}"),
        ),
        schedule="0 40 5 ? * MON",
    ),
    Job(
        key="daily_error_rate",
        title="daily error rate",
        entry_point="scgpt-monitor",
        parameters=("--hours", "24"),
        schedule="0 30 6 * * ?",
    ),
    Job(
        key="device",
        title="device of each served entity",
        entry_point="scgpt-device",
        parameters=("--endpoint", "{endpoint}"),
        schedule="0 10 * * * ?",
    ),
    Job(
        key="retention",
        title="delete what is old",
        entry_point="scgpt-retention",
        parameters=("--days", "{retention_days}"),
        schedule="0 0 3 * * ?",
    ),
)
