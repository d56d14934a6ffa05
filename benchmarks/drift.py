"""Drift: false alarms and found shifts of repeated looks, at made-up data sets and at real cells.

``python -m benchmarks.drift`` replays years of weekly looks and writes ``drift.json`` (half an
hour; ``--part`` does one part anew); ``--table`` prints the committed table. Every number comes
from fixed seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import real_cells
from benchmarks.donors import donors
from scgpt_databricks.model.judge.drift import CAUSES, Reference, Sample, find_drift, make_reference

RESULTS = Path(__file__).with_name("drift.json")
REPLAYS, WEEKS, RATE = 200, 52, 0.05
OLD, NEW, CELLS, WIDTH = 16, 12, 60, 16
SHIFTED = 40
REAL_REPLAYS, REAL_SHIFTED = 100, 20
_WEEK = RATE * 7 / 365
SHIFTS: dict[str, tuple[str, dict[str, Any]]] = {
    "another mixture": ("composition", {"mixture": (0.1, 0.25, 0.15, 0.12, 0.38)}),
    "a lost panel": ("input", {"lost": 0.4, "moved": 0.2, "deeper": -0.4}),
    "normalised counts": ("input", {"whole": 0.0}),
    "a changed model": ("embedding", {"moved": 0.3}),
}
REAL_SHIFTS: dict[str, tuple[str, dict[str, Any]]] = {
    "myeloid cells in place of 60 % of the others": ("composition", {"myeloid": 0.6}),
    "40 % of the genes lost": ("input", {"kind": real_cells.LOST}),
    "normalised counts": ("input", {"kind": real_cells.NORMALISED}),
    "twice as deep": ("input", {"kind": real_cells.DEEPER}),
    "noise in the weights": ("embedding", {"kind": real_cells.NOISY}),
    "another checkpoint": ("embedding", {"kind": real_cells.OTHER}),
}
Draw = Callable[..., Sample]
Start = Callable[[np.random.Generator, int], tuple[Reference, Draw]]
"""Random numbers and a seed -> a reference, and what draws data sets to compare with it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the committed table")
    parser.add_argument("--part", choices=PARTS, action="append", help="do this part anew")
    given = parser.parse_args()
    found = json.loads(RESULTS.read_text())
    if not given.table:
        for part in given.part or PARTS:
            found[part] = PARTS[part]()
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(markdown(found))


def made_up(rng: np.random.Generator, seed: int) -> tuple[Reference, Draw]:
    """Return a reference of made-up donors, and what draws more of them."""
    draw = partial(donors, cells=CELLS, width=WIDTH)
    return make_reference(draw(rng, OLD), 8, seed=seed), draw


def real(rng: np.random.Generator, _seed: int) -> tuple[Reference, Draw]:
    """Return a reference of real cells, and what draws more of them."""
    cells = real_cells.RealCells()
    frozen = cells.reference(rng, OLD)
    return frozen.reference, partial(cells.draw, frozen=frozen)


def replays(start: Start, many: int, cells: int) -> dict[str, Any]:
    """Return how many years of looks at one distribution raised an alarm, and which."""
    by_cause = dict.fromkeys(CAUSES, 0)
    years = looks = 0
    for number in range(many):
        rng = np.random.default_rng(number)
        reference, draw = start(rng, number)
        alarmed = set()
        for _ in range(WEEKS):
            found = find_drift(reference, draw(rng, NEW), alpha=_WEEK, seed=looks)
            alarmed |= {each.cause for each in found if each.alarm}
            looks += 1
        years += bool(alarmed)
        for cause in alarmed:
            by_cause[cause] += 1
    size = {"old": OLD, "new": NEW, "cells": cells, "weeks": WEEKS}
    return {"replays": many, "stated": RATE, "alarmed": years, "by_cause": by_cause, **size}


def shifts(
    start: Start, chosen: Mapping[str, tuple[str, dict[str, Any]]], many: int
) -> list[dict[str, Any]]:
    """Return how often one weekly look finds each shift, under which names."""
    rows = []
    for name, (expected, shift) in chosen.items():
        right = wrong = 0
        for number in range(many):
            rng = np.random.default_rng(10_000 + number)
            reference, draw = start(rng, number)
            found = find_drift(reference, draw(rng, NEW, **shift), alpha=_WEEK, seed=number)
            alarms = {each.cause for each in found if each.alarm}
            right += expected in alarms
            wrong += bool(alarms - {expected})
        counts = {"of": many, "found": right, "misnamed": wrong}
        rows.append({"shift": name, "cause": expected, **counts})
    return rows


PARTS: dict[str, Callable[[], Any]] = {
    "replays": partial(replays, made_up, REPLAYS, CELLS),
    "shifts": partial(shifts, made_up, SHIFTS, SHIFTED),
    "real_replays": partial(replays, real, REAL_REPLAYS, real_cells.CELLS),
    "real_shifts": partial(shifts, real, REAL_SHIFTS, REAL_SHIFTED),
}


def markdown(found: dict[str, Any]) -> str:
    """Return the tables of ``docs/drift.md``."""
    lines = [
        "| one distribution | replays | weekly looks each | replays with an alarm | stated |",
        "|---|---|---|---|---|",
        *(
            _replayed(of, found[part])
            for of, part in (
                ("made-up donors", "replays"),
                ("data sets of real cells", "real_replays"),
            )
            if part in found
        ),
        "",
        "| shift, in one weekly look | looks | found by its name | another name as well |",
        "|---|---|---|---|",
    ]
    for of, part in (("made-up", "shifts"), ("real cells", "real_shifts")):
        for row in found.get(part, ()):
            counts = f"{row['of']} | {row['found']} | {row['misnamed']}"
            lines.append(f"| {of}: {row['shift']} ({row['cause']}) | {counts} |")
    return "\n".join(lines)


def _replayed(of: str, null: dict[str, Any]) -> str:
    causes = ", ".join(f"{cause} {count}" for cause, count in null["by_cause"].items())
    limit = f"{null['stated'] * null['replays']:g}"
    stated = f"at most {null['stated']:.0%}, which is {limit}"
    return (
        f"| {null['new']} {of} a week against {null['old']} | {null['replays']} | "
        f"{null['weeks']} | {null['alarmed']} ({causes}) | {stated} |"
    )


if __name__ == "__main__":
    main()
