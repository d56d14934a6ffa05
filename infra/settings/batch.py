"""The settings of the job that embeds a table of cells on Spark."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from .. import torches
from ..naming import SECURABLE
from .fields import Closed, NonEmpty, matching
from .monitoring import Cron

Table = Annotated[
    str, matching(rf"{SECURABLE}\.{SECURABLE}\.{SECURABLE}", "a table, catalog.schema.table")
]


class Batch(Closed):
    """The job, its tables and its cluster; there is none where ``cells`` is left out."""

    cells: Table | None = None
    """The table of cells, which `scgpt spark convert` makes."""
    embeddings: Table | None = None
    """The table of embeddings; left out, its name is that of the table of cells, with _scgpt."""
    stream: bool = False
    """Runs for good and embeds what is appended; else it runs on the schedule."""
    pipeline: bool = False
    """Declares a pipeline instead, which fills the table; its runtime is that of pipelines."""
    schedule: Cron = "0 0 3 * * ?"
    every: NonEmpty = "30 seconds"
    """How often a stream looks for new cells."""
    pause: bool = False
    files_per_commit: Annotated[int, Field(ge=1)] = 100
    """Files of the table of cells that one commit takes at most: the rate of a backfill."""
    runtime: NonEmpty = "17.3.x-cpu-ml-scala2.13"
    """Databricks Runtime, from 17.3 LTS on; with GPUs the one with gpu-ml in its name."""
    node_type: NonEmpty | None = None
    """Type of the machines."""
    workers: Annotated[int, Field(ge=1)] = 2
    cores_per_task: Annotated[int, Field(ge=1)] = 4
    """Cores of a task, which loads the model once: best all of a machine."""
    gpus_per_task: Annotated[int, Field(ge=0)] = 0
    packages: tuple[NonEmpty, ...] = (
        f"torch=={torches.DEFAULT}",
        "mlflow==3.17.2",
        "h5py",
        "anndata",
    )
    """Packages that the model needs and the runtime lacks; torch as endpoints serve with it."""

    @model_validator(mode="after")
    def _has_machines(self) -> Self:
        if self.cells is not None and self.node_type is None:
            raise ValueError("node_type is missing: the type of the machines, such as m6i.2xlarge")
        if self.cells is not None and self.target == self.cells:
            raise ValueError("embeddings and cells are one table: give two")
        return self

    @property
    def target(self) -> str:
        """The table of embeddings."""
        return self.embeddings or f"{self.cells}_scgpt"

    @property
    def spark_conf(self) -> dict[str, str]:
        """The settings of Spark that give a task its cores and GPUs."""
        conf = {"spark.task.cpus": str(self.cores_per_task)}
        if self.gpus_per_task:
            conf["spark.task.resource.gpu.amount"] = str(self.gpus_per_task)
        return conf
