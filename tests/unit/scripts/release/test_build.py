"""A build's effect on the release manifest of its environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result
from mlflow.exceptions import RestException

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.release import ReleaseError
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model.build import BuildResult
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.ledger import Entry
from scgpt_databricks.scripts.release import build as module
from scgpt_databricks.scripts.release.build import build_for
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


class History:
    """The ledgers of these tests: what was written down, in the order of time."""

    entries: ClassVar[list[Entry]] = []
    broken = False

    def __init__(self, client: Any, settings: Settings) -> None:
        self.client, self.settings = client, settings

    def has(self, id_: str) -> bool:
        return any(entry.id == id_ for entry in self.entries)

    def served(self) -> dict[int, int]:
        return next((entry.after for entry in reversed(self.entries) if entry.after), {})

    def add(self, entry: Entry) -> None:
        if self.broken:
            raise DeployError("dev has no volume")
        self.entries.append(entry)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> type[History]:
    monkeypatch.setattr(History, "entries", [])
    monkeypatch.setattr(module, "Ledger", History)
    return History


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, history: type[History]) -> Registry:
    found = Registry()
    me = SimpleNamespace(me=lambda: SimpleNamespace(user_name="a builder"))
    monkeypatch.setattr(module, "build", found.build)
    monkeypatch.setattr(module, "reach", lambda settings: SimpleNamespace(current_user=me))
    monkeypatch.setattr(module, "beside_champion", lambda checkpoint, model, champion: "")
    monkeypatch.setattr(module.registry, "point_aliases", lambda model, champion: None)
    return found


def build(folder: Path, environment: str, *options: str) -> Result:
    arguments = ["build", environment, "--checkpoint", "somewhere", "--environments", str(folder)]
    return CliRunner().invoke(cli, [*arguments, *options], catch_exceptions=False)


def named(folder: Path, environment: str) -> list[tuple[int, int]]:
    """Version and share of each that the manifest names."""
    manifest = release.read(settings.load(environment, folder).manifest_path)
    return [(each.version, each.traffic) for each in manifest.served]


def test_a_version_that_was_taken_back_is_not_released_again(
    folder: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy would refuse it; how it serves again is said."""
    build(folder, "local")
    found = replace(registry.build(folder, model="m"), reused=True)
    monkeypatch.setattr(module, "build", lambda *_, **__: found)
    marked = SimpleNamespace(number=2, tags={"rolled_back": "slow"})
    monkeypatch.setattr(module.registry, "get", lambda model, number: marked)
    done = build(folder, "local")
    assert done.exit_code == 1
    assert "took it back: slow" in done.stderr
    assert "`scgpt rollback local --to 2`" in done.stderr
    assert named(folder, "local") == [(1, 100)]


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


@pytest.mark.usefixtures("registry")
def test_each_build_stands_in_the_history_once(folder: Path, history: type[History]) -> None:
    build(folder, "dev", "--why", "the first")
    build(folder, "dev")
    first, second = history.entries
    assert (first.operation, first.what, first.by) == ("build", "version 1", "a builder")
    assert (first.why, first.before, first.after) == ("the first", {}, {1: 100})
    assert (second.what, second.before, second.after) == ("version 2", {1: 100}, {})


def test_a_release_of_a_version_that_was_built_before_is_an_entry_of_its_own(
    folder: Path, registry: Registry, history: type[History]
) -> None:
    build(folder, "dev")
    build(folder, "dev")
    registry.versions = 1  # the registry finds the equal version
    build(folder, "dev", "--release")
    registry.versions = 1
    build(folder, "dev", "--release")  # which changes nothing
    assert [(each.operation, each.what) for each in history.entries] == [
        ("build", "version 1"),
        ("build", "version 2"),
        ("release", "version 2"),
    ]
    assert (history.entries[-1].before, history.entries[-1].after) == ({1: 100}, {2: 100})


@pytest.mark.parametrize("known", [False, True])
def test_a_build_that_was_cut_off_is_written_down_by_the_next_one_as_it_was(
    folder: Path, registry: Registry, history: type[History], known: bool
) -> None:
    build(folder, "dev")
    if known:
        build(folder, "dev")
        registry.versions = 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.registry, "point_aliases", cut_off)
        assert build(folder, "dev", "--release").exit_code != 0
    assert named(folder, "dev") == [(2, 100)]
    registry.versions = 1
    build(folder, "dev", "--release")
    registry.versions = 1
    build(folder, "dev", "--release")
    last = history.entries[-1]
    assert (last.before, last.after) == ({1: 100}, {2: 100})
    assert len(history.entries) == (3 if known else 2)


def cut_off(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("registry")
def test_without_a_volume_a_build_says_that_the_history_lacks_it(
    folder: Path, history: type[History], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "broken", True)
    done = build(folder, "dev")
    assert done.exit_code == 0
    assert "the history lacks this build: dev has no volume" in done.stderr


@pytest.mark.parametrize("environment", ["dev", "local"])
def test_a_release_waits_for_the_end_of_a_canary(
    folder: Path, registry: Registry, environment: str
) -> None:
    split = [served(1, 90, "champion"), served(2, 10, "challenger")]
    point_to(settings.load(environment, folder), split)
    with pytest.raises(ReleaseError, match=f"a canary of version 2 runs in {environment}"):
        build_for(environment, folder, folder=folder, release_now=True)
    assert registry.versions == 0
    assert named(folder, environment) == [(1, 90), (2, 10)]


def test_another_vocabulary_than_the_champions_is_told(
    folder: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, "dev")
    told = "it lacks 1 gene (A)"
    monkeypatch.setattr(module, "beside_champion", lambda checkpoint, model, champion: told)
    done = build(folder, "dev", "--json")
    assert told in done.stderr
    assert json.loads(done.stdout)["vocabulary"] == told
