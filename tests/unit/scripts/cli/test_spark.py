"""``scgpt spark`` on a machine that lacks what Spark needs: one sentence, nothing is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.scripts.cli.main import cli


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a session that other tests of this process have started: it would be used as it is."""
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)


@pytest.fixture
def cells(tmp_path: Path) -> str:
    (tmp_path / "cells.h5ad").touch()
    return str(tmp_path / "cells.h5ad")


def test_no_java(cells: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["spark", "convert", cells, "--into", "./table", "--json"])
    assert done.exit_code == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "no_java"
    assert "Java 17 or 21" in error["message"]


def test_no_jars(cells: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").write_text("#!/bin/sh\necho 'version \"17.0.1\"' >&2\n")
    (tmp_path / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    words = [
        "spark",
        "embed",
        "./table",
        "--model",
        "m",
        "--into",
        "./out",
        "--jars",
        str(tmp_path),
    ]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert "make jars" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convert", "CELLS", "--into", "./t", "--raw", "--layer", "counts"], "not both"),
        (["convert", "CELLS", "--into", "./t", "--conf", "nonsense"], "KEY=VALUE"),
        (["embed", "./t", "--into", "./u"], "--model"),
        (["embed", "./t", "--model", "m", "--into", "./u", "--files-per-commit", "0"], "x>=1"),
    ],
)
def test_wrong_usage(cells: str, words: list[str], said: str) -> None:
    given = [cells if word == "CELLS" else word for word in words]
    done = CliRunner().invoke(cli, ["spark", *given])
    assert done.exit_code == 2
    assert said in done.stderr
