"""``scgpt environments``: show all of them at a glance."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import json_option, out, show, table
from .options import Number, environments_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..overview import Row

_WIDEST = 1000  # measured within the screen, a table that is folded fits always
_COLUMNS = ("workspace", "stacks", "manifest", "live", "state", "drift", "last deploy")


@click.command()
@environments_option
@click.option("--offline", is_flag=True, help="Read the files only; ask no workspace.")
@click.option(
    "--timeout",
    type=Number(0, 3600, min_open=True),
    default=20,
    show_default=True,
    help="Seconds for all workspaces.",
)
@json_option
def environments(folder: Path | None, offline: bool, timeout: float, as_json: bool) -> None:
    """Show all environments with versions, drift and last deploy.

    \b
    A broken file or a workspace that does not answer is a row with the reason.
    Where `scgpt deploy` recorded none, the last change of the endpoint is shown.
    Example:  scgpt environments --json
    """
    from ..overview import overview

    rows = overview(folder, offline=offline, limit_s=timeout)
    if not as_json:
        _print(rows, offline)
    told = [
        f"{row.environment}: {line}"
        for row in rows
        for line in ([row.problem] if row.problem else row.drift or ())
    ]
    result = {"environments": [_as_dict(row) for row in rows]}
    show(result, as_json, "\n".join(told), _then(rows))


def _then(rows: list[Row]) -> list[str]:
    """Return what to look at: each environment that drifted, else how to see or begin one."""
    if drifted := [f"scgpt verify {row.environment}" for row in rows if row.drift]:
        return drifted
    asked = [row.environment for row in rows if not row.problem]
    return [f"scgpt plan {asked[0]}" if asked else "scgpt init ENV"]


def _print(rows: list[Row], offline: bool) -> None:
    found = table(("environment", *_COLUMNS), (_cells(row, offline) for row in rows))
    found.columns[0].no_wrap = True
    if out.measure(found, options=out.options.update(width=_WIDEST)).maximum <= out.width:
        out.print(found)
    else:
        for row in rows:
            out.print(_block(row, offline), soft_wrap=True, markup=False)


def _as_dict(row: Row) -> dict[str, Any]:
    deploy = row.last_deploy.model_dump(mode="json") if row.last_deploy else None
    changed = row.last_change.isoformat() if row.last_change else None
    return {
        **asdict(row),
        "last_deploy": deploy,
        "last_change": changed,
        "as_released": row.as_released,
    }


def _block(row: Row, offline: bool) -> str:
    """Return an environment in lines, for screens that are too narrow for the table."""
    name, *facts = _cells(row, offline)
    told = [(title, fact) for title, fact in zip(_COLUMNS, facts, strict=True) if fact]
    return "\n".join([name, *(f"  {title:<12} {fact}" for title, fact in told)])


def _cells(row: Row, offline: bool) -> list[str]:
    live = "not asked" if offline else "?" if row.live is None else _versions(row.live)
    drift = "not asked" if offline else "?" if row.drift is None else str(len(row.drift) or "none")
    if row.problem:
        live = drift = "?"
    return [
        row.environment,
        (row.workspace or "").removeprefix("https://"),
        ", ".join(_stacks(row)),
        _versions(row.released),
        "none" if row.state == "absent" else live,
        row.state or "",
        drift,
        _last_deploy(row),
    ]


def _stacks(row: Row) -> Iterator[str]:
    for stack in dict.fromkeys([*row.stacks, *(row.deployed or ())]):
        kind = stack.removeprefix(f"{row.environment}-")
        if row.deployed is not None and stack not in row.deployed:
            yield f"{kind} (not deployed)"
        elif stack not in row.stacks:
            yield f"{kind} (not declared)"
        else:
            yield kind


def _last_deploy(row: Row) -> str:
    if done := row.last_deploy:
        commit, _, dirty = done.commit.partition("-")
        changed = " and changes" if dirty else ""
        return f"{_minute(done.at)} by {done.by}, commit {commit[:8]}{changed}"
    return f"none recorded; endpoint changed {_minute(row.last_change)}" if row.last_change else ""


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _versions(shares: Mapping[int, int]) -> str:
    return (
        ", ".join(f"{version} ({share} %)" for version, share in sorted(shares.items())) or "none"
    )
