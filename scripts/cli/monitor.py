"""``scgpt monitor``: the tables of the watch, and what fills them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .console import Group, json_option, reporter, show
from .options import dry_run_option, environment_argument


@click.group(cls=Group)
def monitor() -> None:
    """Unpack logged payloads, and look for drift.

    \b
    Example:  scgpt monitor init prod
              scgpt monitor unpack prod
    """


@monitor.command()
@environment_argument
@dry_run_option
@json_option
def init(environment: str, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    """Make ENV's tables of requests, cells and drift.

    \b
    Those that are there stay as they are.
    Example:  scgpt monitor init dev --dry-run
    """
    from scgpt_databricks.infra.settings import load

    from ..watch.tables import init as make

    found = make(load(environment, folder), dry_run=dry_run)
    verb = "would make" if dry_run else "made"
    lines = [f"{verb} {name}" for name in found.made] + [f"there: {name}" for name in found.there]
    show(asdict(found), as_json, "\n".join(lines), f"scgpt monitor unpack {environment}")


@monitor.command()
@environment_argument
@click.option("--source", metavar="TABLE", help="Read this table too, for example a legacy one.")
@json_option
def unpack(environment: str, folder: Path | None, source: str | None, as_json: bool) -> None:
    """Turn ENV's logged payloads into rows, one per cell.

    \b
    Takes what was logged since the last time, and each request once.
    On the local workspace it runs here, elsewhere as the deployed job.
    Example:  scgpt monitor unpack dev
    """
    from scgpt_databricks.infra.settings import load

    from ..watch.now import unpack as run

    found = run(load(environment, folder), source=source, report=reporter())
    text = (
        f"{found['requests']} requests, {found['cells']} cells; {found['not_logged']} without a "
        f"payload, {found['set_aside']} set aside, {found['duplicates']} delivered again"
    )
    show(found, as_json, text)
