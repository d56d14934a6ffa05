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
    ("build", "--env", "prd", "--checkpoint", "nowhere"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_unknown_environment(site: Site, command: tuple[str, ...]) -> None:
    done = site.scgpt(*command)
    assert (done.code, done.out) == (2, "")
    assert f"unknown environment 'prd': known in {site.folder} are local" in done.err
    assert listing(site) == ["local.toml"]


def test_all_mistakes_are_told_at_once(site: Site) -> None:
    toml = site.folder / "local.toml"
    text = toml.read_text()
    for right, wrong in [
        ('schema = "scgpt"', 'schema = "ScGPT"'),
        ("timeout_minutes = 30", "timeout_minutes = 3000"),
        ('workload_type = "GPU_SMALL"', 'workload_type = "GPU_TINY"'),
        ("scale_to_zero", "scale_to_zer0"),
    ]:
        assert right in text
        text = text.replace(right, wrong)
    toml.write_text(text)
    done = site.scgpt("plan", "local")
    assert (done.code, done.out) == (2, "")
    assert str(toml) in done.err
    for words in ["ScGPT", "3000", "GPU_TINY", "endpoint.scale_to_zer0: unknown key"]:
        assert words in done.err
    assert "did you mean 'scale_to_zero'" in done.err
    assert listing(site) == ["local.toml"]


def test_no_toml_at_all(site: Site) -> None:
    (site.folder / "local.toml").write_text("schema = = 1")
    done = site.scgpt("build", "--env", "local", "--checkpoint", "nowhere")
    assert done.code == 2
    assert "no TOML" in done.err


@pytest.mark.parametrize("command", [("smoke", "local"), ("plan", "local")])
def test_a_workspace_that_was_never_started(site: Site, command: tuple[str, ...]) -> None:
    done = site.scgpt(*command)
    assert (done.code, done.out) == (1, "")
    assert "start the local workspace with `scgpt workspace start`" in done.err
    assert listing(site) == ["local.toml"]
