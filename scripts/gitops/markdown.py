"""Markdown that stays what it is, whatever names and values are put into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

_BACKTICKS = re.compile(r"`{3,}")
_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
_BAR = re.compile(r"(\\*)\|")


def code(text: object) -> str:
    """Text as code: nobody is mentioned, nothing is linked, no line is broken."""
    return f"`{' '.join(str(text).replace('`', chr(39)).split())}`"


def plain(text: str) -> str:
    """A sentence that others wrote parts of: its code stays code, the rest mentions nobody, hides
    no address behind a link's words and opens no element.
    """
    line = " ".join(text.split())
    parts, end = [], 0
    for span in _SPAN.finditer(line):
        parts += [_harmless(line[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*parts, _harmless(line[end:])])


def _harmless(text: str) -> str:
    # After a zero-width space nobody is mentioned; a backtick that closes nothing stays one.
    pairs = (("\\", "\\\\"), ("`", "\\`"), ("<", "&lt;"), ("@", "@\u200b"), ("](", "]\\("))
    for found, instead in pairs:
        text = text.replace(found, instead)
    return text


def listing(parts: Iterable[str]) -> str:
    """``a, b and c``; ``nothing`` where there is none."""
    *most, last = list(parts) or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def bullets(lines: Iterable[str], room: int) -> str:
    """Return a list; items beyond ``room`` characters are counted, not shown."""
    items = [f"- {' '.join(line.split())}" for line in lines]
    return "\n".join(_kept(items, room, lambda more: f"- ... {more} more"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], room: int | None = None) -> str:
    """Return a table; rows beyond ``room`` characters are counted, not shown."""
    top, rule, *rest = (
        f"| {' | '.join(_BAR.sub(_escaped, cell) for cell in row)} |"
        for row in (head, ["---"] * len(head), *rows)
    )
    if room is not None:
        rest = _kept(rest, room, lambda more: f"\n... {more} more")
    return "\n".join([top, rule, *rest])


def fenced(lines: Sequence[str], language: str) -> str:
    """A block of code that none of its lines can close."""
    longest = max((len(found) for line in lines for found in _BACKTICKS.findall(line)), default=2)
    fence = "`" * (longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def folded(title: str, lines: Sequence[str], room: int) -> str:
    """Return a diff that opens on a click; lines beyond ``room`` characters are counted."""
    kept = _kept(lines, room, lambda more: f"  ... {more} more lines: `scgpt review` shows them")
    block = fenced(kept, "diff")
    return f"<details><summary>{title}</summary>\n\n{block}\n\n</details>"


def _kept(lines: Sequence[str], room: int, rest: Callable[[int], str]) -> list[str]:
    """The first lines, as many as there is room for, and how many more there are."""
    for index, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return [*lines[:index], rest(len(lines) - index)]
    return list(lines)


def _escaped(bar: re.Match[str]) -> str:
    # GitHub takes a backslash as an escape within code, too, and two of them as one.
    slashes = bar[1]
    return f"{slashes}{chr(92) * (1 + len(slashes) % 2)}|"
