"""Markdown that stays what it is, whatever names and values are put into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_BACKTICKS = re.compile(r"`{3,}")


def code(text: object) -> str:
    """Text as code: nobody is mentioned, nothing is linked, no line is broken."""
    return f"`{' '.join(str(text).replace('`', chr(39)).split())}`"


def listing(parts: Iterable[str]) -> str:
    """``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar within a cell is escaped."""
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', '&#124;') for c in row)} |" for row in cells)


def folded(title: str, lines: Sequence[str], limit: int) -> str:
    """A diff that opens on a click.

    Parameters
    ----------
    limit
        Characters that there is room for; what is beyond is counted, not shown.
    """
    longest = max((len(found) for line in lines for found in _BACKTICKS.findall(line)), default=2)
    fence = "`" * (longest + 1)
    kept: list[str] = []
    room = limit
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            kept.append(f"  ... {len(lines) - len(kept)} more lines: scgpt review shows them")
            break
        kept.append(line)
    body = "\n".join(kept)
    return f"<details><summary>{title}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>"
