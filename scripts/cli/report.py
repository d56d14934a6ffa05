"""``scgpt report``: tell what was asked of an endpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import json_option, reporter, show, table
from .console import out as screen
from .options import settings_argument

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings

    from ..watch.report import Found, Section

_LINES = 12
"""Rows of a table that a terminal shows."""


@click.command()
@settings_argument
@click.option("--since", default="7d", show_default=True, help="How far back: 24h, 7d, 4w.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it: .html one page that loads nothing, .svg its plots alone.",
)
@json_option
def report(settings: Settings, since: str, out: Path | None, as_json: bool) -> None:
    """Tell what was asked of ENV, by whom, and how it was answered.

    \b
    Reads the inference table and the tables that `scgpt monitor` makes of it, by
    the SQL that the dashboard shows. Each request counts once.
    Example:  scgpt report prod --since 7d --out report.html
    """
    from scgpt_databricks.whole_file import draft

    from ..connection import workspace_client
    from ..watch import page, plots
    from ..watch.report import hours_of
    from ..watch.report import report as ask

    try:
        hours = hours_of(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    if out and out.suffix not in (".html", ".svg"):
        raise click.UsageError(f"--out is {out.name!r}: its ending must be .html or .svg")
    found = ask(workspace_client(settings), settings, hours, reporter())
    if out:
        text = page.page(found) if out.suffix == ".html" else plots.picture(found)
        with draft(out) as written:
            written.write_text(text, encoding="utf-8")
    if not as_json:
        for section in found.sections:
            _print(section)
    text = f"written to {out}" if out else ""
    page_of = f"scgpt report {settings.environment} --since {since} --out report.html"
    then = f"scgpt monitor drift {settings.environment}" if out else page_of
    show(_as_dict(found), as_json, text, then)


def _as_dict(found: Found) -> dict[str, Any]:
    tables = {
        each.key: {
            "title": each.title,
            "rows": [dict(zip(each.columns, row, strict=True)) for row in each.rows],
            "problem": each.problem,
        }
        for each in found.sections
    }
    return {**asdict(found), "sections": tables}


def _print(section: Section) -> None:
    from ..watch.page import shown

    if section.problem or not section.rows:
        text = section.problem or "none"
        screen.print(f"{section.title}: {text}", soft_wrap=True, markup=False)
        return
    last = section.key == "per_hour"
    rows = section.rows[-_LINES:] if last else section.rows[:_LINES]
    texts = ([shown(value) for value in row] for row in rows)
    screen.print(table(section.columns, texts, section.title))
    if (more := len(section.rows) - _LINES) > 0:
        screen.print(f"{more} more: --json or --out", soft_wrap=True)
