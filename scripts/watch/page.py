"""The report as one page of HTML that loads nothing."""

from __future__ import annotations

from html import escape

from .plots import HEIGHT, WIDTH, bounds, plots, svg
from .report import Found, Section

_STYLE = """
body { font: 14px/1.45 sans-serif; color: #1f2933; margin: 2rem auto; max-width: 72rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #e4e7eb; text-align: left; }
td { font-variant-numeric: tabular-nums; } .none { color: #7b8794; }
.plots { display: flex; flex-wrap: wrap; gap: .5rem; }
"""


def page(found: Found) -> str:
    """Return the page."""
    made = plots(found)
    start, end = bounds(found, made)
    drawn = "".join(
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(plot.title)}">{svg(plot, start, end)}</svg>'
        for plot in made
    )
    title = escape(f"{found.endpoint}: report")
    span = f"{found.at:%Y-%m-%d %H:%M} UTC, the last {found.since_hours} hours of {found.table}"
    told = escape(
        f"{found.environment}, {span}. A request counts once however often it was delivered; rows "
        "come up to an hour late."
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{told}</p>"
        f'<div class="plots">{drawn}</div>{"".join(map(_table, found.sections))}</body></html>\n'
    )


def _table(section: Section) -> str:
    head = f"<h2>{escape(section.title)}</h2>"
    if section.problem or not section.rows:
        return f'{head}<p class="none">{escape(section.problem or "none")}</p>'
    titles = "".join(f"<th>{escape(name)}</th>" for name in section.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(value))}</td>" for value in row) + "</tr>"
        for row in section.rows
    )
    return f"{head}<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"


def shown(value: str | None) -> str:
    """Return a value for people: fractions with four digits."""
    if value is None:
        return ""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if number.is_integer() and "." not in value else f"{number:.4g}"
