"""Drift: false alarms and found shifts of repeated looks; what unpacking and a test cost.

``python -m benchmarks.drift`` replays years of weekly looks and writes ``drift.json`` (about ten
minutes); ``--table`` prints the committed table. The figures of ``make bench`` are
:func:`figures`. Every number comes from fixed seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.donors import donors
from scgpt_databricks.model.judge.drift import CAUSES, find_drift, make_reference

RESULTS = Path(__file__).with_name("drift.json")
REPLAYS, WEEKS, RATE = 200, 52, 0.05
OLD, NEW, CELLS, WIDTH = 16, 12, 60, 16
SHIFTED = 40
_WEEK = RATE * 7 / 365
SHIFTS: dict[str, tuple[str, dict[str, Any]]] = {
    "another mixture": ("composition", {"mixture": (0.1, 0.25, 0.15, 0.12, 0.38)}),
    "a lost panel": ("input", {"lost": 0.4, "moved": 0.2, "deeper": -0.4}),
    "normalised counts": ("input", {"whole": 0.0}),
    "a changed model": ("embedding", {"moved": 0.3}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the committed table")
    if not parser.parse_args().table:
        found = {"replays": replays(), "shifts": shifts()}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(markdown(json.loads(RESULTS.read_text())))


def replays() -> dict[str, Any]:
    """Return how many years of looks at one distribution raised an alarm, and which."""
    by_cause = dict.fromkeys(CAUSES, 0)
    years = looks = 0
    for number in range(REPLAYS):
        rng = np.random.default_rng(number)
        reference = make_reference(_draw(rng, OLD), 8, seed=number)
        alarmed = set()
        for _ in range(WEEKS):
            found = find_drift(reference, _draw(rng, NEW), alpha=_WEEK, seed=looks)
            alarmed |= {each.cause for each in found if each.alarm}
            looks += 1
        years += bool(alarmed)
        for cause in alarmed:
            by_cause[cause] += 1
    size = {"old": OLD, "new": NEW, "cells": CELLS, "weeks": WEEKS}
    return {"replays": REPLAYS, "stated": RATE, "alarmed": years, "by_cause": by_cause, **size}


def shifts() -> list[dict[str, Any]]:
    """Return how often one weekly look finds each shift, under which names."""
    rows = []
    for name, (expected, shift) in SHIFTS.items():
        right = wrong = 0
        for number in range(SHIFTED):
            rng = np.random.default_rng(10_000 + number)
            reference = make_reference(_draw(rng, OLD), 8, seed=number)
            found = find_drift(reference, _draw(rng, NEW, **shift), alpha=_WEEK, seed=number)
            alarms = {each.cause for each in found if each.alarm}
            right += expected in alarms
            wrong += bool(alarms - {expected})
        rows.append({"shift": name, "cause": expected, "found": right, "misnamed": wrong})
    return rows


def _draw(rng: np.random.Generator, many: int, **other: Any) -> Any:
    return donors(rng, many, cells=CELLS, width=WIDTH, **other)


def markdown(found: dict[str, Any]) -> str:
    """Return the tables of ``docs/drift.md``."""
    null = found["replays"]
    causes = ", ".join(f"{cause} {count}" for cause, count in null["by_cause"].items())
    stated = f"at most {null['stated']:.0%}, which is {null['stated'] * null['replays']:.0f}"
    of = f"{null['new']} new donors a week against {null['old']}"
    lines = [
        "| one distribution | replays | weekly looks each | replays with an alarm | stated |",
        "|---|---|---|---|---|",
        f"| {of} | {null['replays']} | {null['weeks']} | {null['alarmed']} ({causes}) | {stated} |",
        "",
        f"| shift, in one weekly look | found by its name, of {SHIFTED} | another name as well |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['shift']} ({row['cause']}) | {row['found']} | {row['misnamed']} |"
        for row in found["shifts"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
