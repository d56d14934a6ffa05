"""The Markdown pages that Git tracks, without the transcripts of cases."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from scgpt_databricks.infra.layout import ROOT

FENCED = re.compile(r"^(`{3,})(.*)\n(?:.*\n)*?\1$", re.M)


def pages() -> list[Path]:
    """Return every tracked page but those that a case compares to the letter."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if "/cases/" not in name]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCED.sub("", page.read_text())
