"""``scgpt migrate-inference-table``: take a legacy inference table along."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .console import json_option, show
from .options import dry_run_option, environment_argument


@click.command("migrate-inference-table")
@environment_argument
@dry_run_option
@json_option
def migrate(environment: str, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    """Move ENV from a legacy inference table to the gateway's.

    \b
    Finds the legacy configuration, switches the gateway's table on, and makes one
    view over both tables. It drops and copies nothing, and may be run again.
    Example:  scgpt migrate-inference-table prod --dry-run
    """
    from scgpt_databricks.infra.settings import load

    from ..connection import workspace_client
    from ..watch.migrate import migrate as run

    settings = load(environment, folder)
    found = run(workspace_client(settings), settings, dry_run=dry_run)
    verb = "done" if found.applied else "would"
    lines = [f"{verb}: {step}" for step in found.steps] or ["nothing to do"]
    if found.legacy is None:
        lines.append("the endpoint has no legacy inference table")
    pending = dry_run and found.steps
    then = "the same without --dry-run" if pending else f"scgpt report {environment}"
    show(asdict(found), as_json, "\n".join(lines), then)
