"""The runs in which commands on versions were disturbed, as `make soak` wrote them down.

``python -m benchmarks.crash_safety`` prints the table of ``docs/promotion.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("crash_safety.json")
KILLED = "killed before it"


def main() -> None:
    print(markdown(json.loads(RESULTS.read_text())))


def keep(command: str, rows: list[dict[str, Any]]) -> None:
    """Put the runs of one command into the place of those before."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    found = sorted(
        [*(row for row in known if row["command"] != command), *rows],
        key=lambda row: str(row["command"]),
    )
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return one line for each command."""
    lines = [
        "| command | steps | calls of a step | faults | kills | the first run failed | converged |",
        "|---|---|---|---|---|---|---|",
    ]
    for command in dict.fromkeys(row["command"] for row in rows):
        mine = [row for row in rows if row["command"] == command]
        kills = [row for row in mine if row["fault"] == KILLED]
        faults = [row for row in mine if row["fault"] != KILLED]
        calls = {(row["step"], row["route"]) for row in faults}
        failed = sum(row["first"] != "done" for row in mine)
        converged = sum(row["converged"] for row in mine)
        lines.append(
            f"| {command} | {len({row['step'] for row in kills})} | {len(calls)} | {len(faults)} "
            f"| {len(kills)} | {failed} | {converged} of {len(mine)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
