"""The states that cases start from. Each is made once; before a case it is put back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from tests.acceptance.deploy.conftest import Place
from tests.acceptance.manifests import write_manifest

Base = Callable[[Place], None]


def nothing(place: Place) -> None:
    """No workspace, and no environment but what the case brings."""


def empty(place: Place) -> None:
    """A workspace in which nothing was made."""
    place.start_workspace()


def released(place: Place) -> None:
    """The registry, and three validated versions."""
    empty(place)
    place.succeed("deploy", "local")
    place.register(3)


def served(place: Place) -> None:
    """Version 1 behind the endpoint."""
    released(place)
    write_manifest(settings.load("local", place.folder), (1, 100))
    place.succeed("deploy", "local")


BASES: dict[str, Base] = {base.__name__: base for base in (nothing, empty, released, served)}


class Stage:
    """The place of all the cases of a base: no two of them at a time."""

    def __init__(self, folder: Path, base: str) -> None:
        self.base, self.kept = base, folder / "kept"
        self.place = Place(folder / "environments")
        self.place.declare()
        BASES[base](self.place)
        self.close()
        shutil.copytree(self.place.folder, self.kept, symlinks=True)

    def open(self) -> Place:
        """The place as the base left it, its workspace up."""
        shutil.rmtree(self.place.folder)
        shutil.copytree(self.kept, self.place.folder, symlinks=True)
        if self.base != "nothing":
            self.place.start_workspace()
        return self.place

    def close(self) -> None:
        """Stop the workspace."""
        if self.base != "nothing":
            self.place.stop_workspace()


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stage]:
    made: dict[str, Stage] = {}

    def stage(base: str) -> Stage:
        if base not in made:
            made[base] = Stage(tmp_path_factory.mktemp(base), base)
        return made[base]

    return stage


@pytest.fixture
def place(stages: Callable[[str], Stage], request: pytest.FixtureRequest) -> Iterator[Place]:
    """The place of a case, as its base has it."""
    stage = stages(request.param)
    yield stage.open()
    stage.close()
