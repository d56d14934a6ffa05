"""Versions that an operation may point a manifest to."""

from __future__ import annotations

from scgpt_databricks.infra import release
from scgpt_databricks.infra.errors import ReleaseError
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry
from scgpt_databricks.model.registry import Version


def require_agreement(manifest: Manifest, version: Version) -> None:
    """Refuse a version that is not the one that a manifest means by its number.

    Raises
    ------
    ReleaseError
        A digest differs.
    """
    named = next((each for each in manifest.served if each.version == version.number), None)
    if named is None:
        return
    for key in ("checkpoint_sha256", "signature_digest", "engine_digest"):
        said, found = getattr(named, key), version.tags.get(key)
        if found != said != release.UNKNOWN_DIGEST:
            raise ReleaseError(
                f"manifest and registry disagree about {version.name}: the manifest says {key} "
                f"{said}, the registry {found}. Put the manifest back (git checkout), or release "
                "the version anew"
            )


def served_as(version: Version, run_id: str = "") -> Served:
    """Return a version as a manifest names the champion.

    ``run_id`` is of the run that logged it, where the registry of `version` does not know it.
    """
    return Served(
        version=version.number,
        traffic=100,
        role=release.CHAMPION,
        run_id=version.run_id or run_id or version.tags.get(registry.COPIED_FROM, "unknown"),
        checkpoint_sha256=version.tags.get(registry.CHECKPOINT, release.UNKNOWN_DIGEST),
        signature_digest=version.tags.get(registry.SIGNATURE, release.UNKNOWN_DIGEST),
        engine_digest=version.tags.get(registry.ENGINE, release.UNKNOWN_DIGEST),
    )


def require_no_canary(settings: Settings, current: Manifest | None) -> None:
    """Refuse to replace what a canary is compared with.

    Raises
    ------
    ReleaseError
        The manifest names a challenger.
    """
    for each in current.served if current else ():
        if each.role == release.CHALLENGER:
            name = settings.environment
            raise ReleaseError(
                f"a canary of version {each.version} runs in {name}: end it first, by "
                f"`scgpt canary promote {name}` or `scgpt canary abort {name}`"
            )


def require_not_taken_back(settings: Settings, version: Version) -> None:
    """Refuse a version that the environment had and took back.

    Raises
    ------
    ReleaseError
        It has the mark of a rollback.
    """
    reason = version.tags.get(registry.ROLLED_BACK)
    if reason is not None:
        name = settings.environment
        raise ReleaseError(
            f"{name} had this version as its version {version.number} and took it back: {reason}. "
            f"If it is to serve again: `scgpt rollback {name} --to {version.number}`"
        )
