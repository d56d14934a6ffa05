"""Every environment has a row, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from databricks.sdk.config import Config
from rich.console import Console

from scgpt_databricks.infra import layout, release, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.cli import environments as command
from scgpt_databricks.scripts.cli.environments import _cells
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.deploy.record import Record
from scgpt_databricks.scripts.overview import Row, _client, overview
from tests.unit.infra.manifests import canary


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    for source in layout.ENVIRONMENTS.glob("*.toml"):
        shutil.copy(source, tmp_path)
    (tmp_path / "broken.toml").write_text("catalog = 7\n")
    return tmp_path


def test_offline_the_files_alone_are_read(environments: Path) -> None:
    prod = settings.load("prod", environments)
    release.write(prod.manifest_path, canary(prod))
    rows = {row.environment: row for row in overview(environments, offline=True)}
    assert list(rows) == ["broken", "dev", "local", "prod", "staging"]
    assert "catalog" in str(rows["broken"].problem)
    assert rows["prod"].released == {9: 95, 10: 5}
    assert "prod-serving" in rows["prod"].stacks
    assert "dev-serving" not in rows["dev"].stacks
    assert rows["dev"].problem is None
    assert rows["prod"].as_released is None


def test_a_workspace_that_does_not_answer_is_a_row(tmp_path: Path) -> None:
    shutil.copy(layout.ENVIRONMENTS / "local.toml", tmp_path)
    # Accepts connections and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "databrickscfg").write_text(
            f"[local]\nhost = http://127.0.0.1:{silent.getsockname()[1]}\ntoken = hidden-token\n"
        )
        started = time.monotonic()
        (row,) = overview(tmp_path, limit_s=1.0)
    assert time.monotonic() - started < 5
    assert row.problem is not None
    assert "hidden-token" not in row.problem


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str) -> settings.Settings:
    """Production, from a shell that was led to another workspace; the network is not asked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_HOST", "https://dbc-2.cloud.databricks.com")
    monkeypatch.setattr(Config, "_resolve_host_metadata", lambda _: None)
    return settings.load("prod", layout.ENVIRONMENTS)


@pytest.mark.parametrize("profiles", [None, "[prod]\nhost = {host}\ntoken = of-the-profile\n"])
def test_the_file_says_which_workspace_is_asked(
    profiles: str | None, prod: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everywhere else: the profile where there is one, else who calls is in the variables."""
    if profiles:
        (tmp_path / ".databrickscfg").write_text(profiles.format(host=prod.workspace.host))
    else:
        monkeypatch.setenv("DATABRICKS_TOKEN", "of-the-job")
        monkeypatch.delenv("DATABRICKS_HOST")
    config = _client(prod, 1.0).config
    assert config.host == prod.workspace.host
    assert config.token == ("of-the-profile" if profiles else "of-the-job")


def test_a_token_of_another_workspace_is_not_sent(
    prod: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "of-dbc-2")
    with pytest.raises(DeployError, match=r"DATABRICKS_TOKEN is of its DATABRICKS_HOST, .*dbc-2"):
        _client(prod, 1.0)


def test_a_profile_of_another_workspace_is_not_used(
    prod: settings.Settings, tmp_path: Path
) -> None:
    other = "https://dbc-2.cloud.databricks.com"
    (tmp_path / ".databrickscfg").write_text(f"[prod]\nhost = {other}\ntoken = t\n")
    with pytest.raises(DeployError, match=f"profile 'prod' .* is of {other}"):
        _client(prod, 1.0)


def test_the_command_tells_all_and_ends_well(environments: Path) -> None:
    arguments = ["environments", "--offline", "--environments", str(environments)]
    said = CliRunner().invoke(cli, [*arguments, "--json"])
    assert said.exit_code == 0
    rows = json.loads(said.stdout)["environments"]
    assert [row["environment"] for row in rows] == ["broken", "dev", "local", "prod", "staging"]
    table = CliRunner().invoke(cli, arguments)
    assert table.exit_code == 0
    assert "broken: " in table.stdout


@pytest.mark.parametrize("width", [80, 60])
def test_eighty_columns_are_enough(
    width: int, environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell is cut or broken; where the table does not fit, each has a line for each fact."""
    monkeypatch.setattr(command, "out", Console(width=width))
    arguments = ["environments", "--offline", "--environments", str(environments)]
    lines = CliRunner().invoke(cli, arguments).stdout.splitlines()
    prod = lines.index("prod")
    assert lines[prod + 1 : prod + 4] == [
        "  workspace    dbc-00000000-0003.cloud.databricks.com",
        "  stacks       registry, monitoring",
        "  manifest     none",
    ]


def test_what_is_there_against_what_is_declared_and_the_last_deploy() -> None:
    row = Row(
        "dev",
        stacks=("dev-registry", "dev-serving"),
        deployed=("dev-registry", "dev-monitoring"),
        last_change=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    )
    stacks, last = (_cells(row, False)[column] for column in (2, 7))
    assert stacks == "registry, serving (not deployed), monitoring (not declared)"
    assert last == "none recorded; endpoint changed 2026-11-20 09:30 UTC"
    done = Record(
        at=datetime(2026, 11, 21, 10, 40, tzinfo=UTC),
        by="ann@example.com",
        commit="a" * 40 + "-dirty",
        plan_digest="b" * 64,
    )
    said = _cells(replace(row, last_deploy=done), False)[7]
    assert said == "2026-11-21 10:40 UTC by ann@example.com, commit aaaaaaaa and changes"
