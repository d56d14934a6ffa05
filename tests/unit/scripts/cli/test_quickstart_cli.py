"""The quickstart's steps, and what a part of it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.model.scgpt.demo import is_shipped
from scgpt_databricks.scripts import quickstart as steps
from scgpt_databricks.scripts.cli import quickstart as command
from scgpt_databricks.scripts.cli.main import cli


def test_each_step_has_a_title() -> None:
    assert list(steps.Quickstart(0, command._Screen()).steps()) == list(command._TITLES)


def test_a_step_that_does_not_exist_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["quickstart", "--stop-after", "bake"])
    assert result.exit_code == 2
    assert "'bake' is not one of 'workspace', 'checkpoint'" in result.stderr


def test_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = steps.Quickstart(None, command._Screen())
    monkeypatch.setattr(steps.Quickstart, "home", tmp_path)
    run.make_checkpoints()
    assert run.facts["checkpoint"] == "shipped"
    assert is_shipped(tmp_path / "demo" / "checkpoint")
    assert not is_shipped(tmp_path / "demo" / "random")


def test_a_demo_checkpoint_says_where_it_comes_from(tmp_path: Path) -> None:
    for arguments, source in (([], "shipped"), (["--random"], "random")):
        folder = tmp_path / source
        result = CliRunner().invoke(
            cli, ["demo", "checkpoint", "--out", str(folder), "--json", *arguments]
        )
        assert json.loads(result.stdout)["source"] == source
        assert is_shipped(folder) == (source == "shipped")


def test_a_part_of_it_answers_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step starts a server and is not run here."""

    def start_workspace(self: steps.Quickstart) -> None:
        self.facts["provider"] = "stand-in"

    monkeypatch.setattr(steps.Quickstart, "start_workspace", start_workspace)
    result = CliRunner().invoke(cli, ["quickstart", "--stop-after", "workspace", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["provider"], list(found["seconds"])) == ("stand-in", ["workspace"])
