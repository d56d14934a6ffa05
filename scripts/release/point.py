"""Point an environment's release manifest to versions: the one place that changes what is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from scgpt_databricks.infra import release
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings

from ..commit import git_commit


class Place(Protocol):
    """Holds manifests: the working tree, or a branch of its own."""

    def find(self, settings: Settings) -> Manifest | None: ...

    def write(self, settings: Settings, manifest: Manifest) -> None: ...


class WorkingTree:
    """Holds each manifest beside its environment's file."""

    def find(self, settings: Settings) -> Manifest | None:
        """Return the manifest, or None where nothing was released yet."""
        return settings.released()

    def write(self, settings: Settings, manifest: Manifest) -> None:
        """Put the manifest into its file."""
        release.write(settings.manifest_path, manifest)


def point_to(settings: Settings, served: Sequence[Served], place: Place | None = None) -> bool:
    """Let the manifest of an environment name these versions, and no others.

    A manifest that names them already stays as it is, to the byte. Return True where it was
    written.

    Raises
    ------
    ReleaseError
        The manifest that is there is broken, or of another environment or model.
    """
    place = place or WorkingTree()
    if points_to(settings, served, place):
        return False
    manifest = Manifest(
        model=settings.names.full_model,
        git_commit=git_commit(),
        created_at=datetime.now(UTC),
        served=tuple(served),
    )
    place.write(settings, manifest)
    return True


def points_to(settings: Settings, served: Sequence[Served], place: Place | None = None) -> bool:
    """Tell whether the manifest of an environment names just these versions."""
    current = (place or WorkingTree()).find(settings)
    wanted = sorted(served, key=lambda each: each.version)
    return current is not None and list(current.served) == wanted
