"""Decisions are numbered, each number once."""

from __future__ import annotations

import re

from scgpt_databricks.infra.layout import ROOT


def test_numbers_of_decisions_are_in_file_and_title() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    files = [int(page.name[:4]) for page in pages]
    titles = [int(re.findall(r"^# (\d+)\. ", page.read_text())[0]) for page in pages]
    assert files == titles == list(range(1, len(pages) + 1))
