"""Release manifests of versions that nobody asks for embeddings."""

from __future__ import annotations

from datetime import UTC, datetime

from scgpt_databricks.infra import release
from scgpt_databricks.infra.settings import Settings


def write_manifest(settings: Settings, *shares: tuple[int, int]) -> None:
    """A manifest of (version, traffic); the first is the champion."""
    served = tuple(
        release.Served(
            version=version,
            traffic=traffic,
            role="previous" if index else "champion",
            run_id="0" * 32,
            checkpoint_sha256="0" * 64,
            signature_digest="0" * 64,
            engine_digest="0" * 64,
        )
        for index, (version, traffic) in enumerate(shares)
    )
    manifest = release.Manifest(
        model=settings.names.full_model,
        git_commit="0" * 40,
        created_at=datetime.now(UTC),
        served=served,
    )
    release.write(settings.manifest_path, manifest)
