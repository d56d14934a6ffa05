"""Release manifests for the tests: the champion alone, and a canary beside it."""

from __future__ import annotations

from datetime import UTC, datetime

from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings


def served(version: int, traffic: int, role: str) -> Served:
    return Served.model_validate(
        {
            "version": version,
            "traffic": traffic,
            "role": role,
            "run_id": f"{version:032x}",
            "checkpoint_sha256": f"{version:064x}",
            "signature_digest": f"{version:064x}",
            "engine_digest": f"{version:064x}",
        }
    )


def manifest(settings: Settings, *entries: Served) -> Manifest:
    return Manifest(
        model=settings.names.full_model,
        git_commit="0123456789abcdef0123456789abcdef01234567",
        created_at=datetime(2026, 11, 21, 4, 0, tzinfo=UTC),
        served=entries,
    )


def champion(settings: Settings) -> Manifest:
    return manifest(settings, served(3, 100, "champion"))


def canary(settings: Settings) -> Manifest:
    """Version 10 beside 9, so that an order by text would be wrong."""
    return manifest(settings, served(10, 5, "challenger"), served(9, 95, "champion"))
