"""``scgpt monitor``: the tables of the watch, and what fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from .console import Group, json_option, reporter, show
from .options import Number, dry_run_option, settings_argument

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings

_until = click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="End of the days, in UTC.  [default: now]",
)


@click.group(cls=Group)
def monitor() -> None:
    """Unpack logged payloads, and look for drift.

    \b
    Example:  scgpt monitor init prod
              scgpt monitor unpack prod
              scgpt monitor freeze prod --days 28
              scgpt monitor drift prod
    """


@monitor.command()
@settings_argument
@dry_run_option
@json_option
def init(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Make ENV's tables of requests, cells and drift.

    \b
    Those that are there stay as they are.
    Example:  scgpt monitor init dev --dry-run
    """
    from ..watch.tables import init as make

    found = make(settings, dry_run=dry_run)
    verb = "would make" if dry_run else "made"
    lines = [f"{verb} {name}" for name in found.made] + [f"there: {name}" for name in found.there]
    if found.profile and not settings.is_local and settings.monitoring.profile is None:
        lines += ["for a profile by Databricks' own monitor, add to the file and deploy:"]
        lines += [
            "[monitoring.profile]",
            *(f'{key} = "{id_}"' for key, id_ in found.profile.items()),
        ]
    missing = dry_run and found.made
    then = (
        "the same without --dry-run" if missing else f"scgpt monitor unpack {settings.environment}"
    )
    show(asdict(found), as_json, "\n".join(lines), then)


@monitor.command()
@settings_argument
@click.option("--source", metavar="TABLE", help="Read this table too, for example a legacy one.")
@json_option
def unpack(settings: Settings, source: str | None, as_json: bool) -> None:
    """Turn ENV's logged payloads into rows, one per cell.

    \b
    Takes what was logged since the last time, and each request once.
    On the local workspace it runs here, elsewhere as the deployed job.
    Example:  scgpt monitor unpack dev
    """
    from ..watch.now import unpack as run

    found = run(settings, source=source, report=reporter())
    text = (
        f"{found['requests']} requests, {found['cells']} cells; {found['not_logged']} without a "
        f"payload, {found['set_aside']} set aside, {found['duplicates']} delivered again"
    )
    show(found, as_json, text, f"scgpt monitor drift {settings.environment}")


@monitor.command()
@settings_argument
@click.option("--version", type=click.IntRange(min=1), help="Default: the champion.")
@click.option(
    "--days",
    type=Number(0, 3660, min_open=True),
    help="Freeze the requests of so many days, not the version's own baseline.",
)
@_until
@json_option
def freeze(
    settings: Settings,
    version: int | None,
    days: float | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Freeze what ENV's later requests are compared with.

    \b
    A version brings a baseline of the cells that it was evaluated on; build it
    with --batches, so that it knows how much data sets differ anyway.
    Example:  scgpt monitor freeze prod --days 28
    """
    from ..watch.now import freeze as run

    found = run(settings, version=version, days=days, until=_utc(until))
    text = f"the baseline of version {found['version']} is at {found['path']}"
    show(found, as_json, text, f"scgpt monitor drift {settings.environment}")


@monitor.command()
@settings_argument
@click.option("--days", type=Number(0, 3660, min_open=True), help="Length of the window.")
@_until
@click.option("--dry-run", is_flag=True, help="Look, and take nothing of the budget of looks.")
@json_option
def drift(
    settings: Settings,
    days: float | None,
    until: datetime | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compare ENV's requests with its frozen baseline.

    \b
    Tells input, mixture of cells, and embeddings apart. Exit code 1: an alarm.
    All looks of a year together raise a false one with the chance that
    monitoring.drift_false_alarms says.
    Example:  scgpt monitor drift prod
    """
    from ..watch.now import drift as run

    rows = run(settings, days=days, until=_utc(until), dry_run=dry_run, report=reporter())
    alarms = [row for row in rows if row["alarm"]]
    lines = [_line(row) for row in rows] or ["no version answered in the window"]
    then = (
        f"scgpt report {settings.environment}"
        if rows
        else f"scgpt monitor unpack {settings.environment}"
    )
    show({"environment": settings.environment, "looks": rows}, as_json, "\n".join(lines), then)
    if alarms:
        raise SystemExit(1)


def _utc(until: datetime | None) -> datetime | None:
    return until.replace(tzinfo=UTC) if until else None


def _line(row: Mapping[str, Any]) -> str:
    if row["p_value"] is None:
        number = "" if row["effect"] is None else f"share {row['effect']:.2g}"
    else:
        number = (
            f"effect {row['effect']:.2g}, p {row['p_value']:.2g} (alarm below "
            f"{row['threshold']:.2g})"
        )
    said = f"ALARM: {row['finding']}" if row["alarm"] else row["note"] or "as before"
    return f"version {row['version']}  {row['cause']:<12} {said}" + (
        f"; {number}" if number else ""
    )
