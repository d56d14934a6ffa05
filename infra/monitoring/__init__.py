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

_SQL = Path(__file__).parent
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

AUTO_STOP_MINUTES = 10
"""The warehouse stops so long after its last query."""
REMIND_SECONDS = 3600
"""After which an alert that still fires is told again."""
LONGEST_SECONDS = 3600
"""A run of a job may take so long."""
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


def query(name: str, *, table: str, **values: int) -> str:
    """The SQL of one file in this folder, for one environment.

    Parameters
    ----------
    name
        File name without the ending.
    table
        Full name of the inference table.
    values
        What else the file leaves open.
    """
    text = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(table=quoted(table), **values).strip()


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Fires when one column of a query's only row is above a threshold."""

    key: str
    """Logical id."""
    title: str
    summary: str
    """Its meaning, and what to do; in the message."""
    sql: str
    values: dict[str, int] = field(default_factory=dict)
    column: str
    threshold: str | float
    """A number, or the key of the table ``monitoring`` in the environment's file that gives it."""


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
    """What stands in braces is filled in: ``baselines``, and the keys of ``monitoring``."""
    schedule: str
    """Quartz, in the environment's time zone."""


ALERTS = (
    Alert(
        key="error_rate",
        title="error rate",
        summary="More requests fail than allowed. See the dashboard, then the endpoint's logs; "
        "where it began with a release, roll that back.",
        sql="error_rate",
        # Rows arrive up to an hour late.
        values={"hours": 2},
        column="error_rate",
        threshold="error_rate_threshold",
    ),
)

TILES = (
    Tile(
        key="requests",
        title="Requests per hour",
        sql="per_hour",
        values={"days": 7},
        x="hour",
        y="requests",
        chart="bar",
    ),
    Tile(
        key="error_rate",
        title="Error rate per hour",
        sql="per_hour",
        values={"days": 7},
        x="hour",
        y="error_rate",
        chart="line",
    ),
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
)
