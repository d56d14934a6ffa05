"""``scgpt workspace`` where nothing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli.main import cli


def workspace(command: str, folder: Path, *options: str) -> dict[str, Any]:
    arguments = ["workspace", command, "--folder", str(folder), "--json", *options]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_stop_as_json(tmp_path: Path) -> None:
    found = workspace("stop", tmp_path / "workspace", "--quiet")
    assert (found["state"], found["was_running"]) == ("stopped", False)
    assert found["config"] is None


def test_reset_as_json(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "store.sqlite").touch()  # what an instance is known by
    start = "scgpt workspace start"
    for option, removed, then in (
        ("--dry-run", False, "the same without --dry-run"),
        ("--yes", True, start),
        ("--yes", False, start),
    ):
        found = workspace("reset", folder, option)
        assert found == {"folder": str(folder), "removed": removed, "next": then}
        assert folder.exists() is (option == "--dry-run")


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_reset_asks(typed: str, code: int, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "store.sqlite").touch()
    command = ["workspace", "reset", "--folder", str(folder)]
    result = CliRunner().invoke(cli, command, input=typed)
    assert result.exit_code == code
    assert folder.exists() is (code != 0)


def test_logs_end_with_the_lines_asked_for(tmp_path: Path) -> None:
    (tmp_path / "logs" / "mlflow").mkdir(parents=True)
    (tmp_path / "logs" / "server.log").write_text("one\ntwo\nthree\n")
    (tmp_path / "logs" / "mlflow" / "server.log").write_text("four\n")
    found = workspace("logs", tmp_path, "--lines", "2")
    assert found == {
        "logs": {"logs/server.log": ["two", "three"], "logs/mlflow/server.log": ["four"]},
        "next": "scgpt workspace status",
    }
    shown = CliRunner().invoke(cli, ["workspace", "logs", "--folder", str(tmp_path), "-n", "1"])
    assert shown.stdout == (
        "==> logs/mlflow/server.log <==\nfour\n==> logs/server.log <==\nthree\n"
        "next: scgpt workspace status\n"
    )
