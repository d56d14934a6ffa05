"""The one function that points a manifest to versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.errors import ReleaseError
from scgpt_databricks.scripts.release.point import point_to
from tests.unit.infra.manifests import served


def test_the_manifest_names_these_versions_and_no_others(folder: Path) -> None:
    dev = settings.load("dev", folder)
    assert point_to(dev, [served(1, 100, "champion")])
    old, new = served(1, 90, "champion"), served(2, 10, "challenger")
    assert point_to(dev, [new, old])
    written = release.read(dev.manifest_path)
    assert written.served == (old, new)
    assert written.model == dev.names.full_model


def test_an_unchanged_release_leaves_the_file_untouched(folder: Path) -> None:
    dev = settings.load("dev", folder)
    point_to(dev, [served(1, 100, "champion")])
    before = dev.manifest_path.stat()
    assert not point_to(dev, [served(1, 100, "champion")])
    after = dev.manifest_path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_broken_manifest_is_not_overwritten(folder: Path) -> None:
    dev = settings.load("dev", folder)
    dev.manifest_path.write_text("{}")
    with pytest.raises(ReleaseError):
        point_to(dev, [served(1, 100, "champion")])
    assert dev.manifest_path.read_text() == "{}"


def test_the_manifest_of_another_model_is_not_overwritten(folder: Path) -> None:
    dev = settings.load("dev", folder)
    point_to(dev.model_copy(update={"model": "another"}), [served(7, 100, "champion")])
    before = dev.manifest_path.read_bytes()
    with pytest.raises(ReleaseError, match="the environment's model is"):
        point_to(dev, [served(1, 100, "champion")])
    assert dev.manifest_path.read_bytes() == before
