"""Plots of the report as SVG: text alone, so that a page needs nothing beside itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Literal

from .report import Found, Section

WIDTH, HEIGHT = 460, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 34, 30
_INK, _GREY, _FILL, _BAD = "#1f2933", "#9aa5b1", "#2b6cb0", "#c53030"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Plot:
    """Values over the hours of a report."""

    title: str
    unit: str
    points: tuple[tuple[datetime, float], ...]
    kind: Literal["bar", "line"]
    colour: str = _FILL


def plots(found: Found) -> list[Plot]:
    """Return the plots of a report; those without a value are left out."""
    hours, kpi = found.section("per_hour"), found.section("kpi")
    made = [
        Plot("Requests per hour", "", _series(hours, "requests"), "bar"),
        Plot("Failed requests per hour", "", _series(hours, "failed"), "bar", _BAD),
        Plot("Refused requests per hour", "", _series(hours, "refused"), "bar", "#dd6b20"),
        Plot("95th percentile of the time", "ms", _series(hours, "p95_ms"), "line"),
        Plot("Cells per hour", "", _series(kpi, "cells"), "bar", "#2f855a"),
        Plot("Tokens per hour", "", _series(kpi, "tokens"), "bar", "#2f855a"),
        Plot("Truncated cells per hour", "", _series(kpi, "truncated_cells"), "bar", "#6b46c1"),
        Plot("Bytes sent per hour", "", _series(kpi, "request_bytes"), "bar", "#6b46c1"),
    ]
    return [each for each in made if any(value for _, value in each.points)]


def _series(section: Section, name: str) -> tuple[tuple[datetime, float], ...]:
    """Return the values of a column by hour, added up where an hour has several rows."""
    if not section.rows:
        return ()
    found: dict[datetime, float] = defaultdict(float)
    for hour, value in zip(section.column("hour"), section.column(name), strict=True):
        if hour is not None and value is not None:
            found[_moment(hour)] += float(value)
    return tuple(sorted(found.items()))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def svg(plot: Plot, start: datetime, end: datetime) -> str:
    """Draw a plot over the time of the report."""
    top = max(value for _, value in plot.points)
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    span = max((end - start).total_seconds(), 3600.0)

    def x(at: datetime) -> float:
        return _LEFT + wide * (at - start).total_seconds() / span

    def y(value: float) -> float:
        return _TOP + high * (1 - value / top)

    base = _TOP + high
    if plot.kind == "bar":
        bar = max(wide * 3600 / span * 0.9, 1.5)
        drawn = "".join(
            f'<rect x="{x(at):.1f}" y="{y(value):.1f}" width="{bar:.1f}" '
            f'height="{base - y(value):.1f}" fill="{plot.colour}"><title>{at:%Y-%m-%d %H:%M} UTC: '
            f"{value:,.6g}</title></rect>"
            for at, value in plot.points
        )
    else:
        line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in plot.points)
        dots = "".join(
            f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="2.5" fill="{plot.colour}"/>'
            for at, value in plot.points
        )
        drawn = f'<polyline points="{line}" fill="none" stroke="{plot.colour}"/>{dots}'
    title = f"{plot.title}, {plot.unit}" if plot.unit else plot.title
    return (
        f'<g font-family="sans-serif" font-size="11" fill="{_INK}">'
        f'<text x="{_LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>'
        f'<line x1="{_LEFT}" y1="{base}" x2="{WIDTH - _RIGHT}" y2="{base}" stroke="{_GREY}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{_short(top)}</text>'
        f'<text x="{_LEFT - 6}" y="{base + 4}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{HEIGHT - 10}">{start:%Y-%m-%d %H:%M}</text>'
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{end:%m-%d %H:%M} UTC'
        f"</text>{drawn}</g>"
    )


def _short(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= max(size, 10_000):
            return f"{value / size:{'.0f' if value >= 100 * size else '.3g'}}{unit}"
    return f"{value:,.4g}"


def picture(found: Found) -> str:
    """Return all plots of a report as one SVG, two beside each other."""
    made = plots(found)
    start, end = bounds(found, made)
    rows = -(-len(made) // 2)
    placed = "".join(
        f'<g transform="translate({index % 2 * WIDTH} {index // 2 * HEIGHT + 34})">'
        f"{svg(plot, start, end)}</g>"
        for index, plot in enumerate(made)
    )
    title = escape(f"{found.endpoint}: report of {found.at:%Y-%m-%d %H:%M} UTC")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT + 40}" '
        f'width="{2 * WIDTH}" role="img" aria-label="{title}"><rect width="100%" height="100%" '
        f'fill="#fff"/><text x="16" y="24" font-family="sans-serif" font-size="16" fill="{_INK}" '
        f'font-weight="bold">{title}</text>{placed}</svg>\n'
    )


def bounds(found: Found, made: Sequence[Plot]) -> tuple[datetime, datetime]:
    """Return the time that the plots show: from the first value on, at least six hours."""
    moments = [at for plot in made for at, _ in plot.points]
    end = max([found.at, *(at + _HOUR for at in moments)])
    return min([end - 6 * _HOUR, *moments]), end
