"""Commands whose extra is not installed. The installed wheel itself: tests/acceptance/package."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version

import click
import pytest
from click.testing import CliRunner

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.scripts.cli import extras, main


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(distribution: str) -> str:
        if distribution == "torch":
            raise PackageNotFoundError(distribution)
        return version(distribution)

    monkeypatch.setattr(extras, "version", installed)


@pytest.mark.usefixtures("_without_torch")
def test_a_missing_extra_is_one_sentence_before_anything_begins() -> None:
    done = CliRunner().invoke(main.cli, ["embed-file", "no-such-folder", "x.h5ad", "--out", "y"])
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: scgpt embed-file needs the extra 'engine', without which torch is missing: "
        "pip install 'scgpt-databricks[engine]'\n"
    )


@pytest.mark.usefixtures("_without_torch")
def test_help_needs_no_extra() -> None:
    assert CliRunner().invoke(main.cli, ["embed-file", "--help"]).exit_code == 0


@pytest.mark.usefixtures("_without_torch")
def test_other_extras_are_not_asked_for() -> None:
    extras.require_extra("scgpt workspace", "workspace")
    with pytest.raises(click.ClickException):
        extras.require_extra("scgpt build", "engine")


def test_every_extra_that_a_command_names_is_one_of_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in set(main._EXTRAS.values()):
        packages = set(extras._packages(extra))
        assert len(packages) == len(declared["optional-dependencies"][extra])


def test_every_command_that_names_an_extra_is_there() -> None:
    assert main._EXTRAS.keys() <= main.cli._lazy.keys()
