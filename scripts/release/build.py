"""Build a version for one environment and write its release manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scgpt_databricks.infra import release
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings, load
from scgpt_databricks.model.build import BuildResult, build

from ..commit import git_commit
from ..connection import use_mlflow


def build_for(
    environment: str,
    checkpoint: Path,
    *,
    folder: Path | None = None,
    allowed_path_prefixes: Sequence[str] = (),
    with_hvg: bool = False,
    notify: Callable[[str], None] = lambda message: None,
    force: bool = False,
) -> tuple[BuildResult, Path]:
    """Build, validate and register a version; point the environment's manifest to it.

    The manifest is written last: when anything before fails, it still names what is live.

    Parameters
    ----------
    environment
        Name of the environment.
    checkpoint
        scGPT checkpoint directory.
    folder
        Folder of the environments, as for ``scgpt_databricks.infra.settings.load``.
    allowed_path_prefixes, with_hvg
        As for ``scgpt_databricks.model.build.build``.
    notify
        Called with a sentence as each step begins.
    force
        Register a new version even when an equal one exists.

    Returns
    -------
    BuildResult, Path
        The version, and the manifest's file.
    """
    settings = load(environment, folder)
    use_mlflow(settings)
    result = build(
        checkpoint,
        model=settings.names.full_model,
        experiment=settings.names.experiment,
        git_commit=git_commit(),
        allowed_path_prefixes=allowed_path_prefixes,
        with_hvg=with_hvg,
        notify=notify,
        force=force,
    )
    _point_to(settings, result)
    return result, settings.manifest_path


def _point_to(settings: Settings, result: BuildResult) -> None:
    """The new version takes all traffic; an unchanged release leaves its file untouched."""
    served = Served(
        version=result.version,
        traffic=100,
        role=release.CHAMPION,
        run_id=result.run_id,
        checkpoint_sha256=result.checkpoint_sha256,
        signature_digest=result.signature_digest,
        engine_digest=result.engine_digest,
    )
    current = release.find(settings.manifest_path, model=result.model)
    if current is not None and served in current.served:
        return
    release.write(
        settings.manifest_path,
        Manifest(
            model=result.model,
            git_commit=git_commit(),
            created_at=datetime.now(UTC),
            served=(served,),
        ),
    )
