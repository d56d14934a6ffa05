"""Copy a version into another environment's model.

One way serves all: download, register, compare. MLflow's ``copy_model_version`` works within one
metastore only; it makes a new version at each call, carries approvals over, and makes a missing
target without its grants. None of that happens here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.model import registry
from scgpt_databricks.model.registry import Version

_REWRITTEN = "registered_model_meta"
"""File that MLflow adds to what it downloads: it names the version, which differs."""


def download(version: Version, folder: Path) -> Path:
    """Return the files of a version, from the registry that this process points to.

    Raises
    ------
    DeployError
        They cannot be read.
    """
    uri = f"models:/{version.model}/{version.number}"
    try:
        found = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
    except Exception as error:  # each kind of storage has exceptions of its own
        raise DeployError(f"the files of {version.name} cannot be read: {error}") from error
    if not (found / "MLmodel").is_file():  # an empty folder is downloaded without a word
        raise DeployError(f"the files of {version.name} cannot be read: there is no MLmodel")
    return found


def register(source: Version, files: Path, model: str, *, run_id: str | None) -> None:
    """Register files as a version of another model, with the tags that are true of it there.

    It is not validated until its files have been compared, and nobody approved it there.

    Parameters
    ----------
    run_id
        The run that logged it, where the workspace of `model` has that run.
    """
    MlflowClient().create_model_version(
        model,
        str(files),
        run_id=run_id,
        description=source.description or None,
        tags=carried(source),
    )


def carried(source: Version) -> dict[str, str]:
    """Return the tags that a copy of a version begins with."""
    kept = {
        key: value
        for key, value in source.tags.items()
        if key != registry.VALIDATED and not key.startswith(registry.OF_ONE_ENVIRONMENT)
    }
    return {**kept, registry.COPIED_FROM: f"{source.model}/{source.number}"}


def require_equal(source: Path, copy: Path, name: str) -> None:
    """Refuse a copy whose files are not those of its source, by their sha256.

    Raises
    ------
    DeployError
        Names the files that differ.
    """
    ours, theirs = _digests(source), _digests(copy)
    if wrong := sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key)):
        raise DeployError(
            f"{name} has other files than its source: {', '.join(wrong)}. Delete that version and "
            "run the command again"
        )


def unfinished(model: str, digests: Mapping[str, str]) -> list[Version]:
    """Return the versions that a copy began and never finished."""
    found = registry.with_digests(model, digests)
    return [version for version in found if version.status != registry.READY]


def remove(versions: list[Version]) -> None:
    """Delete versions of a model."""
    for version in versions:
        MlflowClient().delete_model_version(version.model, str(version.number))


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _REWRITTEN
    }
