"""Rules that every page keeps: short lines, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.unit.docs.pages import pages, prose

WIDTH = 120
LINK = re.compile(r"\]\(([^()\s]+)\)")
TRANSCRIPT = re.compile(r"^````markdown\n.*?^````$", re.M | re.S)


def too_long(text: str) -> list[str]:
    """Return the lines above the width. A table's row cannot be broken, and a link's target
    does not count.
    """
    lines = (line for line in text.splitlines() if not line.startswith("|"))
    return [line for line in lines if len(LINK.sub("]()", line)) > WIDTH]


def anchors(page: Path) -> set[str]:
    """Return the names by which links reach the headings of a page, made as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page to files or headings that do not exist."""
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(target)
    return broken


def test_there_are_pages() -> None:
    assert ROOT / "README.md" in pages()
    assert len(pages()) >= 20


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short(page: Path) -> None:
    # A transcript in a page is a copy of a case, which has its own line ends.
    assert too_long(TRANSCRIPT.sub("", page.read_text())) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("x" * 120, False),
        ("x" * 121, True),
        ("| " + "x" * 200 + " |", False),
        ("see [the page](" + "x" * 200 + ")", False),
    ],
)
def test_a_long_line_is_found(line: str, refused: bool) -> None:
    assert bool(too_long(line)) == refused


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Of links\n[a](#of-links) [b](#others) [c](page.md) [d](gone.md) [e](https://x.y)"
    )
    assert broken_links(page) == ["#others", "gone.md"]
