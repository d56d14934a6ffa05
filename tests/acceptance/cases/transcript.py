"""Reads, runs and writes `case.t`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

INDENT = "  "
PROMPT = "  $ "
ANY = "..."

_VARIES = (
    (r"(?m)^.*: still going after \d+ s\n", ""),  # said on a slow machine only
    (r"\b[0-9a-f]{64}\b", "<digest>"),
    (r"\b[0-9a-f]{40}\b", "<commit>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"\b\d{15,16}\b", "<number>"),
    (r"\b[0-9a-f]{16}\b", "<id>"),
    (r"\b127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    (r"\(process \d+\)", "(process <number>)"),
    (r"\b[\w.-]+@[\w.-]+ runs", "<user>@<machine> runs"),
    (r"\b20\d\d-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?", "<time>"),
    (r"\(until 20\d\d-\d\d-\d\d\)", "(until <day>)"),
    (r"(?m)^ *\d+\.\d s  ", "<n> s  "),
    (r"\b\d+(\.\d+)? s\b", "<n> s"),
    (r"/deploy/local-stand-in/", "/deploy/local/"),
    (r"databricks/databricks 1\.99\.0 \(.*?\)", "databricks/databricks 1.99.0"),
)


@dataclass
class Step:
    """A command of a case."""

    text: list[str]
    """The lines before it, as they stand."""
    command: str
    expected: list[str]
    """Its output, with the exit code at the end unless that is 0."""


def read(text: str) -> tuple[list[Step], list[str]]:
    """The steps, and the lines behind the last."""
    steps: list[Step] = []
    before: list[str] = []
    lines = text.splitlines()
    while lines:
        line = lines.pop(0)
        if not line.startswith(PROMPT):
            before.append(line)
            continue
        said = list(takewhile(lambda x: x.startswith(INDENT) and not x.startswith(PROMPT), lines))
        del lines[: len(said)]
        steps.append(Step(before, line.removeprefix(PROMPT), [x[len(INDENT) :] for x in said]))
        before = []
    return steps, before


def run(text: str, shell: Callable[[str], tuple[int, str]], folder: str) -> tuple[str, list[str]]:
    """Run all the commands.

    Returns
    -------
    tuple
        The text as it would be right, and for each command that said something else what it was.
    """
    steps, rest = read(text)
    lines: list[str] = []
    wrong: list[str] = []
    for step in steps:
        code, out = shell(step.command)
        said = _normal(out, folder) + ([f"[{code}]"] if code else [])
        right = _matches(step.expected, said)
        if not right:
            wrong.append("\n".join([f"$ {step.command}", *said]))
        shown = step.expected if right else said
        lines += [*step.text, PROMPT + step.command, *(INDENT + line for line in shown)]
    return "\n".join([*lines, *rest]) + "\n", wrong


def _normal(out: str, folder: str) -> list[str]:
    """Without what differs between any two runs."""
    out = out.replace(folder, "<folder>")
    for pattern, name in _VARIES:
        out = re.sub(pattern, name, out)
    return [line.rstrip() for line in out.splitlines() if line.strip()]


def _matches(expected: list[str], said: list[str]) -> bool:
    """Equal, where `...` stands for any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == ANY else re.escape(line) + r"\n" for line in expected
    )
    return re.fullmatch(pattern, "".join(line + "\n" for line in said)) is not None
