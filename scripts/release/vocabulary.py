"""The genes that a version knows, beside those of the champion."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from scgpt_databricks.model.errors import RegistryError
from scgpt_databricks.model.registry import Version, ready
from scgpt_databricks.model.scgpt.checkpoint_files import VOCAB_FILE

_SHOWN = 5


def of_files(files: Path) -> set[str]:
    """Return the vocabulary in a folder; empty where there is none."""
    found = next(files.rglob(VOCAB_FILE), None)
    return set(json.loads(found.read_text())) if found else set()


def beside_champion(checkpoint: Path, model: str, champion: int) -> str:
    """Say how a checkpoint's vocabulary differs from that of a model's champion.

    Returns
    -------
    str
        Empty where both know the same genes.
    """
    try:
        theirs = _of_version(ready(model, champion))
    except (RegistryError, MlflowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        return f"the vocabulary of the champion, version {champion}, cannot be read: {reason}"
    ours = of_files(checkpoint)
    lost, new = sorted(theirs - ours), sorted(ours - theirs)
    parts = [
        *([f"it lacks {_counted(lost)}, so promotions and canaries refuse it"] if lost else []),
        *([f"it has {_counted(new)} beside the champion's"] if new else []),
    ]
    if not parts:
        return ""
    return f"its vocabulary is not that of the champion, version {champion}: {'; '.join(parts)}"


def _of_version(version: Version) -> set[str]:
    """Read a version's vocabulary without its weights."""
    uri = f"models:/{version.model}/{version.number}"
    flavors = mlflow.models.get_model_info(uri).flavors
    folder = flavors["python_function"]["artifacts"]["checkpoint"]["path"]
    file = mlflow.artifacts.download_artifacts(f"{uri}/{folder}/{VOCAB_FILE}")
    return set(json.loads(Path(file).read_text()))


def _counted(genes: Collection[str]) -> str:
    shown = ", ".join(sorted(genes)[:_SHOWN]) + (", ..." if len(genes) > _SHOWN else "")
    return f"{len(genes):,} {'gene' if len(genes) == 1 else 'genes'} ({shown})"
