"""The messages that docs/troubleshooting.md quotes are in the source."""

from __future__ import annotations

import re

import pytest

from scgpt_databricks.infra.layout import ROOT

FOLDERS = ("infra", "local_workspace", "model", "scripts")
PAGE = ROOT / "docs" / "troubleshooting.md"


def quoted() -> list[str]:
    """Return what stands in code quotes in the first column of the tables."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", PAGE.read_text(), re.M)
    return [text for cell in rows for text in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def sources() -> str:
    """Return all source text, with the parts of a sentence that spans lines put together."""
    files = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()]
    text = "\n".join(p.read_text() for p in files if p.suffix == ".py" or p.name == "check-tools")
    return re.sub(r'"\s+f?"', "", text)


def test_the_page_quotes_messages() -> None:
    assert len(quoted()) > 30


@pytest.mark.parametrize("message", quoted())
def test_each_message_is_in_the_source(message: str, sources: str) -> None:
    assert message in sources
