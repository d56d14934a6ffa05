"""A build's effect on the release manifest of its environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mlflow.exceptions import RestException

from scgpt_databricks.infra import release, settings
from scgpt_databricks.model.build import BuildResult
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.release import build as module
from scgpt_databricks.scripts.release.point import point_to
from tests.unit.infra.manifests import served


class Registry:
    """The builds of these tests: each registers the next version and validates nothing."""

    def __init__(self) -> None:
        self.versions = 0
        self.meanwhile: Callable[[], None] = lambda: None
        """Called in the middle of a build."""

    def build(self, checkpoint: Path, *, model: str, **_: Any) -> BuildResult:
        self.meanwhile()
        self.versions += 1
        version = served(self.versions, 100, "champion")
        return BuildResult(
            model=model,
            version=version.version,
            run_id=version.run_id,
            checkpoint_sha256=version.checkpoint_sha256,
            signature_digest=version.signature_digest,
            engine_digest=version.engine_digest,
            reused=False,
        )


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry()
    monkeypatch.setattr(module, "build", found.build)
    monkeypatch.setattr(module, "reach", lambda settings: None)
    monkeypatch.setattr(module.registry, "point_aliases", lambda model, champion: None)
    return found


def build(folder: Path, environment: str, *options: str) -> Result:
    arguments = ["build", environment, "--checkpoint", "somewhere", "--environments", str(folder)]
    return CliRunner().invoke(cli, [*arguments, *options], catch_exceptions=False)


def named(folder: Path, environment: str) -> list[tuple[int, int]]:
    """Version and share of each that the manifest names."""
    manifest = release.read(settings.load(environment, folder).manifest_path)
    return [(each.version, each.traffic) for each in manifest.served]


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("environment", ["dev", "prod", "local"])
def test_the_first_version_of_an_environment_is_released(folder: Path, environment: str) -> None:
    done = build(folder, environment)
    assert done.exit_code == 0
    assert named(folder, environment) == [(1, 100)]
    assert f"next: scgpt plan {environment}" in done.stdout


@pytest.mark.usefixtures("registry")
def test_a_later_one_is_proposed(folder: Path) -> None:
    build(folder, "dev")
    manifest = settings.load("dev", folder).manifest_path
    before = manifest.read_bytes()
    done = build(folder, "dev")
    assert done.exit_code == 0
    assert manifest.read_bytes() == before
    assert f"version 2; not validated in a clean environment\nproposed: {manifest}" in done.stdout
    assert "next: scgpt build dev --checkpoint somewhere --release, to release it" in done.stdout
    answer = json.loads(build(folder, "dev", "--json").stdout)
    assert (answer["version"], answer["released"]) == (3, False)


@pytest.mark.usefixtures("registry")
def test_a_later_one_is_released_when_that_is_asked_for(folder: Path) -> None:
    build(folder, "dev")
    answer = json.loads(build(folder, "dev", "--release", "--json").stdout)
    assert (answer["version"], answer["released"]) == (2, True)
    assert named(folder, "dev") == [(2, 100)]


@pytest.mark.usefixtures("registry")
def test_local_always_serves_the_last_build(folder: Path) -> None:
    build(folder, "local")
    build(folder, "local")
    assert named(folder, "local") == [(2, 100)]


def test_a_version_that_is_released_already_is_said_to_be(folder: Path, registry: Registry) -> None:
    build(folder, "dev")
    registry.versions = 0  # the registry finds the equal version
    answer = json.loads(build(folder, "dev", "--json").stdout)
    assert (answer["version"], answer["released"]) == (1, True)


def test_a_split_of_traffic_survives_a_build(folder: Path, registry: Registry) -> None:
    """Also one that gives the built version a share."""
    split = [served(1, 90, "champion"), served(2, 10, "challenger")]
    point_to(settings.load("dev", folder), split)
    registry.versions = 1
    answer = json.loads(build(folder, "dev", "--json").stdout)
    assert (answer["version"], answer["released"]) == (2, False)
    assert named(folder, "dev") == [(1, 90), (2, 10)]


def test_a_manifest_that_appears_during_the_first_build_stays(
    folder: Path, registry: Registry
) -> None:
    def pulled() -> None:
        point_to(settings.load("dev", folder), [served(9, 100, "champion")])

    registry.meanwhile = pulled
    answer = json.loads(build(folder, "dev", "--json").stdout)
    assert answer["released"] is False
    assert named(folder, "dev") == [(9, 100)]


@pytest.mark.parametrize("options", [[], ["--release"]])
def test_a_broken_manifest_stops_before_anything_is_built(
    folder: Path, registry: Registry, options: list[str]
) -> None:
    manifest = settings.load("dev", folder).manifest_path
    manifest.write_text("{}")
    assert build(folder, "dev", *options).exit_code == 1
    assert registry.versions == 0
    assert manifest.read_text() == "{}"


def test_a_builder_who_may_not_move_aliases_still_builds(
    folder: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(model: str, champion: int) -> None:
        raise RestException({"error_code": "PERMISSION_DENIED", "message": "Ask its owner."})

    monkeypatch.setattr(module.registry, "point_aliases", refused)
    done = build(folder, "dev")
    assert done.exit_code == 0
    assert "aliases stay: Ask its owner." in done.stderr
    assert named(folder, "dev") == [(1, 100)]
