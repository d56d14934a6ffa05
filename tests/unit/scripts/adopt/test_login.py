"""The first contact of an adoption: whose login it is, and that there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli.main import cli

HERE, THERE = "https://dbc-1.cloud.databricks.com", "https://dbc-2.cloud.databricks.com"


@pytest.fixture(autouse=True)
def _bare_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DATABRICKS_")}
    monkeypatch.setattr(os, "environ", clean)
    monkeypatch.setenv("HOME", str(tmp_path))
    profiles = f"[there]\nhost = {THERE}\ntoken = se%cret\n"
    (tmp_path / ".databrickscfg").write_text(profiles)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no login for a workspace: "),
        (["--profile", "nope"], "has no nope profile configured"),
    ],
    ids=["no login", "unknown profile"],
)
def test_a_login_that_is_missing_is_told(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(cli, ["adopt", "bio", "--endpoint", "cells", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no login for ")
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_a_profiles_login_is_not_sent_where_the_shell_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", HERE)
    result = CliRunner().invoke(cli, ["adopt", "bio", "--endpoint", "cells", "--profile", "there"])
    assert result.exit_code == 1
    assert f"'there' is of {THERE}, but DATABRICKS_HOST is {HERE}" in result.stderr
    assert "se%cret" not in result.output
