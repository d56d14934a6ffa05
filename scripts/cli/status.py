"""``scgpt status``: show how an endpoint stands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from .console import json_option, out, show
from .options import Number, settings_argument

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings

    from ..watch.status import Entity, Status

_MOVING = ("requests", "refused", "failed", "mean_ms", "log", "build_log")
"""Fields of an entity that change all the time."""


@click.command()
@settings_argument
@click.option("--watch", is_flag=True, help="Look again and again; show each change.")
@click.option(
    "--every",
    type=Number(0, 86_400, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--for", "minutes", type=Number(min=0), help="Minutes to watch.")
@click.option(
    "--logs", "lines", type=click.IntRange(min=0), default=0, help="Last lines of each log to show."
)
@json_option
def status(
    settings: Settings,
    watch: bool,
    every: float,
    minutes: float | None,
    lines: int,
    as_json: bool,
) -> None:
    """Show how ENV's endpoint stands, and on which devices.

    \b
    Exit code 1: it does not answer, an update failed, or an entity that has a
    GPU computes on its CPU. A watch ends by Ctrl-C or --for; its exit code is
    that of the last look. With --json, each look is one object.
    Example:  scgpt status prod
              scgpt status prod --watch --every 5
    """
    from ..connection import workspace_client
    from ..watch.status import status as look

    manifest = settings.released()
    client = workspace_client(settings)
    deadline = None if minutes is None else time.monotonic() + minutes * 60
    shown: Any = None
    while True:
        found = look(client, settings, manifest)
        if watch and as_json:
            click.echo(json.dumps(_as_dict(found, lines), sort_keys=True, default=str))
        elif not watch or shown != _lasting(found):
            then = _then(settings.environment, found, lines)
            show(_as_dict(found, lines), as_json, "\n".join(_text(found, lines)), then)
        shown = _lasting(found)
        if not watch or (deadline is not None and time.monotonic() >= deadline):
            raise SystemExit(1 if found.problems else 0)
        time.sleep(every)
        if out.is_terminal:
            out.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim]", end="\r")


def _then(environment: str, found: Status, lines: int) -> str:
    if not found.problems:
        return f"scgpt report {environment}"
    return f"scgpt verify {environment}" if lines else f"scgpt status {environment} --logs 40"


def _as_dict(found: Status, lines: int) -> dict[str, Any]:
    return {
        **asdict(found),
        "entities": [_entity_dict(each, lines) for each in found.entities],
        "pending": [_entity_dict(each, lines) for each in found.pending],
        "last_deploy": found.last_deploy.model_dump(mode="json") if found.last_deploy else None,
    }


def _entity_dict(each: Entity, lines: int) -> dict[str, Any]:
    logs = {"log": _tail(each.log, lines), "build_log": _tail(each.build_log, lines)}
    return {**asdict(each), **logs}


def _lasting(found: Status) -> dict[str, Any]:
    """Return what is worth showing again when it changes."""
    kept = asdict(found)
    kept.pop("gauges")
    for each in (*kept["entities"], *kept["pending"]):
        for name in _MOVING:
            each.pop(name)
    return kept


def _text(found: Status, lines: int) -> Iterator[str]:
    update = f", {found.update}" if found.update not in ("", "NOT_UPDATING") else ""
    yield f"{found.endpoint}: {found.state}{update}"
    for title, entities in (("serves", found.entities), ("pending", found.pending)):
        for each in entities:
            yield f"  {title:8} {_line(each)}"
            yield from _logs(each, lines)
    if found.gauges:
        figures = (f"{name} {value:g}" for name, value in sorted(found.gauges.items()))
        yield f"  metrics  {', '.join(figures)}"
    if done := found.last_deploy:
        at = f"{done.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        yield f"  deployed {at} by {done.by}, commit {done.commit[:8]}"
    yield from (f"problem: {each}" for each in found.problems)
    yield from (f"note: {each}" for each in found.notes)


def _line(each: Entity) -> str:
    place = each.device or "device not known"
    how = ", ".join(filter(None, (each.precision, each.torch and f"torch {each.torch}")))
    computes = f"{place} ({how})" if how else place
    size = f" {each.workload_size}" if each.workload_size else ""
    counted = f"{each.requests} requests, {each.refused} refused, {each.failed} failed"
    mean = f", {each.mean_ms:.0f} ms on average" if each.mean_ms is not None else ""
    return (
        f"{each.name}: {each.traffic} %, {each.workload_type}{size} on {computes}, "
        f"{each.state.removeprefix('DEPLOYMENT_').lower()}; {counted}{mean}"
    )


def _logs(each: Entity, lines: int) -> Iterator[str]:
    for title, log in (("build log", each.build_log), ("log", each.log)):
        if tail := _tail(log, lines):
            yield f"    {title}:"
            yield from (f"      {line}" for line in tail.splitlines())


def _tail(log: str, lines: int) -> str:
    return "\n".join(log.splitlines()[-lines:]) if lines else ""
