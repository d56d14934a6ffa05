"""``scgpt migrate-inference-table``: take a legacy inference table along."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .console import json_option, show
from .options import dry_run_option, settings_argument

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings


@click.command("migrate-inference-table")
@settings_argument
@dry_run_option
@json_option
def migrate(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Move ENV from a legacy inference table to the gateway's.

    \b
    Finds the legacy configuration, switches the gateway's table on, and makes one
    view over both tables. It drops and copies nothing, and may be run again.
    Example:  scgpt migrate-inference-table prod --dry-run
    """
    from ..connection import workspace_client
    from ..watch.migrate import migrate as run

    found = run(workspace_client(settings), settings, dry_run=dry_run)
    verb = "done" if found.applied else "would"
    lines = [f"{verb}: {step}" for step in found.steps] or ["nothing to do"]
    if found.legacy is None:
        lines.append("the endpoint has no legacy inference table")
    pending = dry_run and found.steps
    then = "the same without --dry-run" if pending else f"scgpt report {settings.environment}"
    show(asdict(found), as_json, "\n".join(lines), then)
