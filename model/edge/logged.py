"""An export in MLflow's ``onnx`` flavour, in the run of the version that it was made from."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from .. import registry
from ..errors import RegistryError
from ..registry import Version
from .runner import CELLS_MODEL

NAME, FOLDER = "scgpt_onnx", "edge"
_INTEGER, _REAL = np.dtype(np.int64), np.dtype(np.float32)
SIGNATURE = ModelSignature(
    Schema(
        [
            TensorSpec(_INTEGER, (-1, -1), "genes"),
            TensorSpec(_INTEGER, (-1, -1), "values"),
            TensorSpec(_INTEGER, (-1,), "lengths"),
        ]
    ),
    Schema([TensorSpec(_REAL, (-1, -1), "cell_embedding")]),
)
"""Signature of the network alone: its inputs are tokens, as ``embed.py`` of the package makes them
of cells."""


def version_of(model: str, checkpoint_sha256: str) -> Version:
    """Return the newest finished version of a checkpoint.

    Raises
    ------
    RegistryError
        ``no_such_version``: there is none.
    """
    ready = [
        version
        for version in registry.listed(model)
        if version.status == registry.READY
        and version.tags.get(registry.CHECKPOINT) == checkpoint_sha256
    ]
    if not ready:
        raise RegistryError(
            "no_such_version",
            f"{model} has no version of the checkpoint {checkpoint_sha256[:12]}; build one first "
            "(scgpt build ENV --checkpoint DIR).",
        )
    return ready[0]


def log_beside(version: Version, folder: Path) -> str:
    """Log a package to the run of a version; return the URI of the ONNX model.

    The package lies whole in the run's artifacts below ``edge``.
    """
    with mlflow.start_run(run_id=version.run_id):
        info = mlflow.onnx.log_model(
            onnx.load(folder / CELLS_MODEL["float32"]),
            name=NAME,
            signature=SIGNATURE,
            pip_requirements=str(folder / "requirements.txt"),
            metadata={registry.CHECKPOINT: version.tags[registry.CHECKPOINT]},
        )
        mlflow.log_artifacts(str(folder), FOLDER)
    return str(info.model_uri)
