"""``scgpt adopt``: usage, and its examples."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.scripts.cli.main import cli


@pytest.mark.parametrize(
    "arguments", [["adopt"], ["adopt", "e"], ["adopt", "e", "--endpoint", "x", "--state", "s3"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_examples_name_an_environment_that_has_no_file() -> None:
    """One that says something else is refused, in a dry run too."""
    help_ = CliRunner().invoke(cli, ["adopt", "--help"]).stdout
    documents = [layout.ROOT / "README.md", layout.ROOT / "docs" / "ways-to-an-endpoint.md"]
    texts = [help_, *(document.read_text() for document in documents)]
    examples = [each for text in texts for each in re.findall(r"scgpt adopt (\S+) --", text)]
    assert len(examples) >= 4
    assert not set(examples) & set(settings.known(layout.ENVIRONMENTS))
