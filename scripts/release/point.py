"""Point an environment's release manifest to versions: the one place that changes what is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from scgpt_databricks.infra import release
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings

from ..commit import git_commit


def point_to(settings: Settings, served: Sequence[Served]) -> bool:
    """Let the manifest of an environment name these versions, and no others.

    A manifest that names them already stays as it is, to the byte. Return True where it was
    written.

    Raises
    ------
    ReleaseError
        The manifest that is there is broken, or of another environment or model.
    """
    model = settings.names.full_model
    manifest = Manifest(
        model=model, git_commit=git_commit(), created_at=datetime.now(UTC), served=tuple(served)
    )
    current = release.find(settings.manifest_path, model=model)
    if current is not None and current.served == manifest.served:
        return False
    release.write(settings.manifest_path, manifest)
    return True
