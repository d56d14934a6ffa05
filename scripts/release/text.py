"""Tell reviewers of a promotion what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from scgpt_databricks.model.judge.gates import Evidence, Gate


def described(source: str, target: str, found: Evidence, gates: Sequence[Gate]) -> str:
    """Return the gates, and the metrics beside the champion's."""
    title = f"### {found.candidate.name} of {source} is to serve {target}"
    rows = [f"| {gate.name} | {gate.state} | {_cell(gate.sentence)} |" for gate in gates]
    return "\n".join([title, "", "| gate | | |", "|---|---|---|", *rows, "", *_metrics(found), ""])


def _metrics(found: Evidence) -> list[str]:
    ours = found.candidate.metrics
    theirs = found.champion.metrics if found.champion else {}
    champion = found.champion.name if found.champion else "no champion"
    head = f"| metric, with its 95 % interval | {champion} | {found.candidate.name} |"
    rows = [f"| {name} | {theirs.get(name, '-')} | {score} |" for name, score in ours.items()]
    return [head, "|---|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
