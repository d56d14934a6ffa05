"""Simulate canaries: how many are rolled back, how many promoted, after how many requests.

``python -m benchmarks.canary`` prints the table and writes ``canary.json``. The two figures that
have a goal are part of ``make bench``. Every number comes from fixed seeds.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure
from scgpt_databricks.model.judge.power import RUNS, simulate
from scgpt_databricks.model.judge.verdict import Rules

RESULTS = Path(__file__).with_name("canary.json")
REQUESTS = 20_000
SHARES = (0.05, 0.1, 0.5)
RATES = ((0.01, 0.01), (0.01, 0.02), (0.01, 0.05), (0.01, 0.2), (0.0, 0.02))


def main() -> None:
    rows = measure()
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print(markdown(rows))


def measure() -> list[dict[str, Any]]:
    """Return one row for each share and pair of error rates, 400 canaries each."""
    rows = []
    for share in SHARES:
        for champion, canary in RATES:
            runs = simulate(share, champion, canary, REQUESTS)
            found = runs.worse[runs.worse < np.inf]
            rows.append(
                {
                    "share": share,
                    "champion": champion,
                    "canary": canary,
                    "ever worse": len(found) / RUNS,
                    "rolled back": runs.rolled_back,
                    "promoted": runs.promoted,
                    "median": None if math.isinf(runs.median) else runs.median,
                }
            )
    return rows


def figures() -> list[Figure]:
    """Return the figures of ``make bench``, from all rows."""
    rows = measure()
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print(markdown(rows))
    alarms = max(row["ever worse"] for row in rows if row["champion"] == row["canary"])
    (five,) = (r for r in rows if (r["share"], r["champion"], r["canary"]) == (0.1, 0.01, 0.05))
    alpha, note = Rules().alpha, f"{RUNS} runs of up to {REQUESTS:,} requests"
    return [
        Figure("canary_false_rollbacks", alarms, alpha, alarms, "share", "none", "<= 0.05", note),
        Figure(
            "canary_five_fold_found",
            five["rolled back"],
            1.0,
            five["rolled back"],
            "share",
            "none",
            ">= 1",
            f"median after {five['median']:,.0f} requests",
        ),
    ]


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| share | error rates | rolled back | promoted | half decided after |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        after = "never" if row["median"] is None else f"{row['median']:,.0f} requests"
        lines.append(
            f"| {row['share']:.0%} | {row['champion']:.0%} -> {row['canary']:.0%} "
            f"| {row['rolled back']:.1%} | {row['promoted']:.1%} | {after} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
