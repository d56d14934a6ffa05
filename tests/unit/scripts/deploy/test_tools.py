"""Old tools are found before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.infra.settings.state import OLDEST_TERRAFORM
from scgpt_databricks.scripts.deploy.tools import require_tools
from tests.unit.scripts.gitops.workflows import SETUP


def on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
    for name, answer in answers.items():
        tool = folder / name
        tool.write_text(f"#!/bin/sh\necho '{answer}'\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_path(tmp_path, monkeypatch, terraform="Terraform v1.10.0", node="v20.1.0")
    require_tools()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"terraform": "Terraform v1.9.8", "node": "v20.0.0"}, "terraform 1.10 or newer.* 1.9 is"),
        ({"terraform": "Terraform v1.10.0", "node": "v16.20.2"}, "node 20.0 or newer.* 16.20 is"),
        ({"terraform": "Terraform v1.10.0"}, "node 20.0 or newer.* none is on the PATH"),
        ({"terraform": "?", "node": "v9.9.9"}, "terraform .* none is .*node .* 9.9 is"),
    ],
)
def test_each_old_or_missing_tool_is_named(
    answers: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_path(tmp_path, monkeypatch, **answers)
    with pytest.raises(DeployError, match=message) as caught:
        require_tools()
    assert "\n" not in str(caught.value)


def test_one_oldest_terraform_everywhere() -> None:
    """The stacks take it from the settings; these say it in words of their own."""
    said = {
        "scripts/check-tools": r"need terraform (\S+) ",
        "README.md": r"Terraform (\S+) or newer",
        "docs/upgrade.md": r"\| Terraform \| (\S+) or newer",
    }
    found = {file: re.findall(pattern, (ROOT / file).read_text()) for file, pattern in said.items()}
    assert found == {file: [OLDEST_TERRAFORM] for file in said}
    (pinned,) = re.findall(r'terraform_version: "(\d+)\.(\d+)\.', SETUP.read_text())
    assert tuple(map(int, pinned)) >= tuple(map(int, OLDEST_TERRAFORM.split(".")))
