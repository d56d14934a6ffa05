"""The job that embeds a table of cells on a Spark cluster."""

from __future__ import annotations

from ..bindings import (
    Construct,
    Job,
    JobContinuous,
    JobJobCluster,
    JobJobClusterNewCluster,
    JobQueue,
    JobSchedule,
    JobTask,
    JobTaskLibrary,
    JobTaskLibraryPypi,
    JobTaskPythonWheelTask,
)
from ..settings import Settings
from ..settings.batch import Batch
from ..wheel import TABLES_ENTRY_POINTS, tables_wheel
from .access import access_list

_CLUSTER = "spark"
_ID = "embedding_job"


class EmbeddingJob(Construct):
    """Runs ``scgpt_databricks.model.batch.spark.main`` with the version that is live."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, version: int) -> None:
        super().__init__(scope, id_)
        task = _task(settings, settings.batch, version)
        embedding_job(self, settings, task, _cluster(settings))


def embedding_job(
    scope: Construct,
    settings: Settings,
    task: JobTask,
    cluster: JobJobClusterNewCluster | None = None,
) -> None:
    """Declare the job that runs a task on the schedule, or for good, and who may see it."""
    batch = settings.batch
    status = "PAUSED" if batch.pause else "UNPAUSED"
    clusters = [JobJobCluster(job_cluster_key=_CLUSTER, new_cluster=cluster)] if cluster else None
    job = Job(
        scope,
        _ID,
        name=settings.names.watched("embed cells"),
        task=[task],
        job_cluster=clusters,
        continuous=JobContinuous(pause_status=status) if batch.stream else None,
        schedule=None
        if batch.stream
        else JobSchedule(
            quartz_cron_expression=batch.schedule,
            timezone_id=settings.monitoring.timezone,
            pause_status=status,
        ),
        queue=JobQueue(enabled=True),
        max_concurrent_runs=1,
        budget_policy_id=settings.endpoint.budget_policy_id,
        tags=dict(settings.tags) or None,
    )
    job.override_logical_id(_ID)
    levels = settings.object_levels("job")
    access_list(scope, f"{_ID}_permissions", levels, job_id=job.id)


def _task(settings: Settings, batch: Batch, version: int) -> JobTask:
    names, built = settings.names, tables_wheel()
    (entry_point,) = TABLES_ENTRY_POINTS
    given = [
        ("--cells", batch.cells),
        ("--embeddings", batch.target),
        ("--model", f"models:/{names.full_model}/{version}"),
        ("--checkpoint", f"{names.volume_path}/embedding_job"),
        ("--files-per-commit", str(batch.files_per_commit)),
        *([("--every", batch.every)] if batch.stream else []),
    ]
    return JobTask(
        task_key="embed_cells",
        job_cluster_key=_CLUSTER,
        library=[
            JobTaskLibrary(whl=names.wheel_path(built.file_name, built.sha256)),
            *(JobTaskLibrary(pypi=JobTaskLibraryPypi(package=each)) for each in batch.packages),
        ],
        python_wheel_task=JobTaskPythonWheelTask(
            package_name=built.package,
            entry_point=entry_point,
            parameters=[str(word) for pair in given for word in pair],
        ),
    )


def _cluster(settings: Settings) -> JobJobClusterNewCluster:
    batch = settings.batch
    return JobJobClusterNewCluster(
        spark_version=batch.runtime,
        node_type_id=batch.node_type,
        num_workers=batch.workers,
        data_security_mode="SINGLE_USER",
        spark_conf=batch.spark_conf,
        custom_tags=dict(settings.tags) or None,
    )
