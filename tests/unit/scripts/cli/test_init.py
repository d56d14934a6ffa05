"""``scgpt init``: a new environment by options, or by answers."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scgpt_databricks.infra import settings
from scgpt_databricks.scripts.cli.main import cli

AZURE = "https://adb-7.1.azuredatabricks.net"
SCGPT = Path(sys.executable).with_name("scgpt")


def init(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", *arguments, "--environments", str(folder)])


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and line[0] != "#"]


def test_five_lines_are_written(tmp_path: Path) -> None:
    result = init(
        tmp_path, "lab", "--host", "https://Dbc-1.cloud.databricks.com/?o=7", "--catalog", "cells"
    )
    assert result.exit_code == 0, result.output
    assert lines(tmp_path / "lab.toml") == [
        'catalog = "cells"',
        "[workspace]",
        'host = "https://dbc-1.cloud.databricks.com"',
        "[state]",
        'backend = "local"',
    ]
    assert result.stdout.splitlines()[-1] == "next: scgpt plan lab"
    assert not settings.load("lab", tmp_path).is_local


def test_environments_of_the_local_workspace_stand_beside_each_other(tmp_path: Path) -> None:
    for name in ("dev", "staging", "prod"):
        assert init(tmp_path, name, "--local").exit_code == 0
    loaded = [settings.load(name, tmp_path) for name in ("dev", "staging", "prod")]
    assert all(each.is_local for each in loaded)
    assert [each.catalog for each in loaded] == ["dev", "staging", "prod"]
    assert [each.endpoint.name for each in loaded] == ["scgpt-serving"] + [
        f"scgpt-serving-{name}" for name in ("staging", "prod")
    ]


def test_a_new_folder_of_environments(tmp_path: Path) -> None:
    result = init(tmp_path / "deep" / "er", "trial", "--local", "--json")
    said = json.loads(result.stdout)
    assert said["next"] == [
        f"export SCGPT_ENVIRONMENTS={tmp_path / 'deep' / 'er'}",
        "scgpt workspace start",
        "scgpt plan trial",
    ]
    assert settings.load("trial", tmp_path / "deep" / "er").catalog == "trial"


def test_a_profile_has_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "cfg"))
    (tmp_path / "cfg").write_text("[mine]\nhost = https://dbc-2.cloud.databricks.com/\n")
    assert init(tmp_path, "lab", "--profile", "mine").exit_code == 0
    loaded = settings.load("lab", tmp_path)
    assert loaded.workspace.host == "https://dbc-2.cloud.databricks.com"
    assert loaded.workspace.profile == "mine"
    result = init(tmp_path, "lab2", "--profile", "other")
    assert result.exit_code == 2
    assert "has no profile 'other' with a host: give --host as well" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Lab", "--local"], 2, "environment: must be named with"),
        (["lab", "--local", "--host", "https://x.cloud.databricks.com"], 2, "two workspaces"),
        (["lab", "--host", "https://genes.example.org"], 2, "cloud: missing"),
        (["lab", "--local", "--state", "s3"], 2, "'s3' is no KEY=VALUE"),
        (["lab", "--local", "--state", "backend=s3"], 2, "state.bucket: missing"),
        (["lab"], 2, "give --host URL, --profile NAME or --local"),
        (["there", "--local"], 3, "exists: edit it, or choose another name"),
        (["lab", "--local", "--catalog", "there"], 2, "both claim schema there.scgpt"),
        (["lab", "--local", "--endpoint", "taken"], 2, "both claim endpoint taken"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    assert init(tmp_path, "there", "--local", "--endpoint", "taken").exit_code == 0
    result = init(tmp_path, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["there.toml"]


def test_a_dry_run_shows_the_file(tmp_path: Path) -> None:
    result = init(tmp_path, "trial", "--local", "--dry-run")
    assert result.exit_code == 0
    assert "local = true" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "host", "catalog"),
    [
        ("\n\n", None, "trial"),
        ("adb-7.1.azuredatabricks.net\ncells\n", AZURE, "cells"),
    ],
)
def test_a_terminal_is_asked(tmp_path: Path, typed: str, host: str | None, catalog: str) -> None:
    ours, theirs = pty.openpty()
    command = [SCGPT, "init", "trial", "--environments", tmp_path]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        with suppress(OSError):  # the terminal is gone with the command
            while os.read(ours, 4096):
                pass
    os.close(ours)
    assert process.returncode == 0
    loaded = settings.load("trial", tmp_path)
    assert loaded.catalog == catalog
    assert loaded.workspace.host == host
    assert loaded.is_local is (host is None)
