"""Environments that do not exist or are wrong: exit code 2, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """No workspace runs: none is needed to find these mistakes."""
    return Site(tmp_path / "environments")


def listing(site: Site) -> list[str]:
    return sorted(path.name for path in site.folder.iterdir())


COMMANDS = [
    ("plan", "prd"),
    ("smoke", "prd"),
    ("build", "prd", "--checkpoint", "nowhere"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_unknown_environment(site: Site, command: tuple[str, ...]) -> None:
    done = site.scgpt(*command)
    assert (done.code, done.out) == (2, "")
    assert f"unknown environment 'prd': known in {site.folder} are local" in done.err
    assert listing(site) == ["local.toml"]


@pytest.mark.parametrize("command", [("smoke", "local"), ("plan", "local")])
def test_a_workspace_that_was_never_started(site: Site, command: tuple[str, ...]) -> None:
    done = site.scgpt(*command)
    assert (done.code, done.out) == (1, "")
    assert "start the local workspace with `scgpt workspace start`" in done.err
    assert listing(site) == ["local.toml"]
