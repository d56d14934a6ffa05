"""``scgpt build`` where it stops before MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli.main import cli


@pytest.mark.parametrize("prefix", ["/", "/etc", "/Volumes", "Volumes/main/x"])
def test_a_prefix_outside_volumes_is_wrong_usage(prefix: str, tmp_path: Path) -> None:
    arguments = ["build", "local", "--checkpoint", str(tmp_path), "--dry-run"]
    result = CliRunner().invoke(cli, [*arguments, "--allowed-path-prefix", prefix])
    assert result.exit_code == 2
    assert "each must be a folder below /Volumes" in " ".join(result.stderr.split())


def test_a_dry_run_refuses_an_unknown_environment(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").touch()
    arguments = ["build", "prd", "--checkpoint", str(tmp_path), "--dry-run"]
    result = CliRunner().invoke(cli, [*arguments, "--environments", str(tmp_path)])
    assert result.exit_code == 2
    assert "unknown environment 'prd'" in result.stderr
    assert "are dev" in " ".join(result.stderr.split())


def test_help_names_what_is_off_by_default() -> None:
    shown = CliRunner().invoke(cli, ["build", "--help"]).stdout
    assert "--with-hvg" in shown
    assert "Default: none" in " ".join(shown.split())
