"""The engine of a Spark worker: loaded once per process, with the threads of one task."""

from __future__ import annotations

import fcntl
import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from ...serve.engine import Engine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SHARED = ("/Volumes/", "/dbfs/", "/Workspace/")
"""File systems that all machines of a Databricks cluster see."""


@dataclass(frozen=True)
class Model:
    """A model as the workers find it.

    Parameters
    ----------
    place
        Folder of a checkpoint or of a logged model; or name of an archive that Spark handed out.
    is_archive
        The latter.
    precision
        As ``Embedder.load`` takes it.
    """

    place: str
    is_archive: bool = False
    precision: str | None = None


def find_model(spark: SparkSession, model: str, precision: str | None = None) -> Model:
    """Find a model, and hand it out to the workers if they cannot see it.

    Parameters
    ----------
    spark
        The session, a classic one or one of Spark Connect.
    model
        A version in a registry (``models:/catalog.schema.model/3``), another URI that MLflow
        reads, or a folder: a checkpoint, or a model that MLflow saved.
    precision
        As ``Embedder.load`` takes it.

    Raises
    ------
    CheckpointError
        ``not_found``: there is no such folder.
    """
    if ":/" in model:
        import mlflow

        model = mlflow.artifacts.download_artifacts(model)
    folder = Path(model).resolve()
    if not folder.is_dir():
        raise CheckpointError(
            "not_found",
            f"{model} is no folder; give the folder of a checkpoint, or a version as "
            "models:/catalog.schema.model/3.",
        )
    if str(folder).startswith(_SHARED) or _is_local(spark):
        return Model(str(folder), precision=precision)
    archive = _archive(folder)
    spark.addArtifacts(str(archive), file=True)
    return Model(archive.name, is_archive=True, precision=precision)


def _archive(folder: Path) -> Path:
    """Pack a model under a name of its own: Spark keeps one file of a name for good."""
    draft = Path(tempfile.mkdtemp(prefix="scgpt-model-")) / folder.name
    with tarfile.open(draft, "w") as file:
        file.add(folder, ".")
    with draft.open("rb") as packed:
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
    return draft.rename(draft.with_name(f"{folder.name}-{digest[:16]}.tar"))


def _is_local(spark: SparkSession) -> bool:
    return str(spark.conf.get("spark.master", "local")).split("[")[0] == "local"


@lru_cache(maxsize=1)
def engine_of(model: Model) -> Engine:
    """Load the engine, once per process: Spark uses a worker for one task after another.

    It computes with ``spark.task.cpus`` threads, on the GPU of the task where it has one.

    Raises
    ------
    ScgptError
        As ``Embedder.load``.
    """
    import torch

    threads, device = _of_task()
    torch.set_num_threads(threads)
    folder = _unpacked(model.place) if model.is_archive else Path(model.place)
    if (folder / "MLmodel").is_file():
        return _logged(folder, device, model.precision)
    from ...scgpt.embedder import Embedder
    from ...scgpt.engine import ScgptEngine

    return ScgptEngine(Embedder.load(folder, device=device, precision=model.precision))


def _logged(folder: Path, device: str | None, precision: str | None) -> Engine:
    """Load a version with the code that it carries."""
    import mlflow

    settings = {"device": device, "precision": precision}
    chosen = {name: value for name, value in settings.items() if value}
    loaded: Any = mlflow.pyfunc.load_model(str(folder), model_config=chosen or None)
    engine: Engine = loaded.unwrap_python_model().engine
    return engine


def _of_task() -> tuple[int, str | None]:
    """Return the threads and the device that Spark gives the task."""
    from pyspark import TaskContext

    task = TaskContext.get()
    if task is None:
        return 1, None
    gpus = task.resources().get("gpu")
    return max(1, task.cpus()), f"cuda:{gpus.addresses[0]}" if gpus else None


def _unpacked(archive: str) -> Path:
    """Unpack what Spark handed out; the workers of one machine share the folder."""
    from pyspark import SparkFiles

    packed = Path(SparkFiles.get(archive))
    folder, done = packed.with_suffix(".unpacked"), packed.with_suffix(".done")
    with packed.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            with tarfile.open(packed) as file:
                file.extractall(folder, filter="data")
            done.touch()
    return folder
