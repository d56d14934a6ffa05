"""``scgpt workspace`` where nothing runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    assert workspace("reset", folder) == {"folder": str(folder), "removed": False}
    assert folder.exists()
    assert workspace("reset", folder, "--yes") == {"folder": str(folder), "removed": True}
    assert not folder.exists()
    assert workspace("reset", folder, "--yes") == {"folder": str(folder), "removed": False}
