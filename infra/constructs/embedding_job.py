"""The job that embeds a table of cells on a Spark cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bindings import Construct, Job, declare
from ..settings import Settings
from ..wheel import TABLES_ENTRY_POINTS, tables_wheel
from ..wheel_jobs import one_at_a_time
from .access import access_list, entries

_CLUSTER = "spark"
_ID = "embedding_job"


class EmbeddingJob(Construct):
    """Runs ``scgpt_databricks.model.batch.spark.main`` with the version that is live."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, version: int) -> None:
        super().__init__(scope, id_)
        clusters = [{"job_cluster_key": _CLUSTER, "new_cluster": _cluster(settings)}]
        embedding_job(self, settings, {"task": [_task(settings, version)], "job_cluster": clusters})


def embedding_job(scope: Construct, settings: Settings, work: Mapping[str, Any]) -> None:
    """Declare the job that does the work on the schedule, or for good, and who may see it."""
    batch = settings.batch
    status = {"pause_status": "PAUSED" if batch.pause else "UNPAUSED"}
    schedule = {
        "quartz_cron_expression": batch.schedule,
        "timezone_id": settings.monitoring.timezone,
        **status,
    }
    fields = {
        "name": settings.names.watched("embed cells"),
        **work,
        **({"continuous": status} if batch.stream else {"schedule": schedule}),
        **one_at_a_time(settings),
    }
    job = declare(Job, scope, _ID, fields)
    levels = entries(settings.object_levels("job"))
    access_list(scope, f"{_ID}_permissions", levels, job_id=job.id)


def machines(settings: Settings) -> dict[str, Any]:
    """Return the machines of a cluster, and what Spark is told of them."""
    batch = settings.batch
    return {
        "node_type_id": batch.node_type,
        "num_workers": batch.workers,
        "spark_conf": batch.spark_conf,
        "custom_tags": dict(settings.tags) or None,
    }


def _task(settings: Settings, version: int) -> dict[str, Any]:
    names, batch, built = settings.names, settings.batch, tables_wheel()
    (entry_point,) = TABLES_ENTRY_POINTS
    given = [
        ("--cells", batch.cells),
        ("--embeddings", batch.target),
        ("--model", f"models:/{names.full_model}/{version}"),
        ("--checkpoint", f"{names.volume_path}/embedding_job"),
        ("--files-per-commit", str(batch.files_per_commit)),
        *([("--every", batch.every)] if batch.stream else []),
    ]
    return {
        "task_key": "embed_cells",
        "job_cluster_key": _CLUSTER,
        "library": [
            {"whl": names.wheel_path(built.file_name, built.sha256)},
            *({"pypi": {"package": each}} for each in batch.packages),
        ],
        "python_wheel_task": {
            "package_name": built.package,
            "entry_point": entry_point,
            "parameters": [str(word) for pair in given for word in pair],
        },
    }


def _cluster(settings: Settings) -> dict[str, Any]:
    return {
        "spark_version": settings.batch.runtime,
        "data_security_mode": "SINGLE_USER",
        **machines(settings),
    }
