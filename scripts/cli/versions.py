"""``scgpt versions``: the versions of an environment at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import json_option, out, show, table
from .options import environment_argument

if TYPE_CHECKING:
    from ..release.versions import Row

_COLUMNS = ("version", "aliases", "validated", "manifest", "serves", "metrics")


@click.command()
@environment_argument
@json_option
def versions(environment: str, folder: Path | None, as_json: bool) -> None:
    """Show ENV's versions, their evidence and traffic.

    \b
    `manifest` is what ENV's release manifest gives a version, `serves` what the
    endpoints of its workspace do. What does not fit together is told below.
    Example:  scgpt versions dev
              scgpt versions prod --json
    """
    from ..release.versions import as_dict, versions_of

    found = versions_of(environment, folder)
    rows = [as_dict(row) for row in found.rows]
    result = {"model": found.model, "versions": rows, "problems": list(found.problems)}
    if not as_json:
        out.print(found.model, markup=False)
        if found.rows:
            out.print(table(_COLUMNS, map(_cells, found.rows)))
    lines = [*map(_origin, found.rows), *found.problems] or ["no versions yet"]
    built = (
        f"scgpt status {environment}"
        if found.rows
        else f"scgpt build {environment} --checkpoint DIR, or scgpt promote FROM {environment}"
    )
    show(result, as_json, "\n".join(lines), built)


def _cells(row: Row) -> list[str]:
    from scgpt_databricks.model import registry

    version = row.version
    unfinished = "" if version.status == registry.READY else f" {version.status}"
    return [
        f"{version.number}{unfinished}",
        "\n".join(version.aliases),
        "yes" if version.validated else "no",
        "" if row.released is None else f"{row.released} %",
        "\n".join(f"{each.endpoint} {each.traffic} %" for each in row.serves),
        "\n".join(f"{name} {score.value:.4f}" for name, score in version.metrics.items()),
    ]


def _origin(row: Row) -> str:
    """Return the run, the cells and the version that a version comes from, in one line."""
    from scgpt_databricks.model import registry

    version = row.version
    data = version.tags.get(registry.EVALUATED_ON, "")[:12]
    copied = version.tags.get(registry.COPIED_FROM)
    lineage = [
        f"from {copied}" if copied else "",
        f"run {version.run_id}" if version.run_id else "",
        f"data {data}" if data else "",
        f"by {version.created_by}, {version.created_at:%Y-%m-%d %H:%M} UTC",
    ]
    return f"version {version.number}: " + ", ".join(filter(None, lineage))
