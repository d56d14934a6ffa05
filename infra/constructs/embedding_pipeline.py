"""The declarative pipeline that embeds a table of cells."""

from __future__ import annotations

import base64

from ..bindings import (
    Construct,
    JobTask,
    JobTaskPipelineTask,
    Pipeline,
    PipelineCluster,
    PipelineEnvironment,
    PipelineLibrary,
    PipelineLibraryFile,
    WorkspaceFile,
)
from ..settings import Settings
from ..wheel import tables_wheel
from .access import access_list
from .embedding_job import embedding_job

_SOURCE = "from scgpt_databricks.model.batch.spark.pipeline import define\n\ndefine()\n"


class EmbeddingPipeline(Construct):
    """Fills the table of embeddings for good, or when a job of the schedule starts it."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, version: int) -> None:
        super().__init__(scope, id_)
        batch, names = settings.batch, settings.names
        source = WorkspaceFile(
            self,
            "source",
            path=f"/Shared/{names.endpoint}/embeddings_pipeline.py",
            content_base64=base64.b64encode(_SOURCE.encode()).decode(),
        )
        catalog, schema, _ = batch.target.split(".")
        built = tables_wheel()
        wheel = names.wheel_path(built.file_name, built.sha256)
        given = [
            ("scgpt.cells", str(batch.cells)),
            ("scgpt.embeddings", batch.target),
            ("scgpt.model", f"models:/{names.full_model}/{version}"),
            ("scgpt.files_per_commit", str(batch.files_per_commit)),
        ]
        pipeline = Pipeline(
            self,
            "embedding_pipeline",
            name=names.watched("embed cells"),
            catalog=catalog,
            schema=schema,
            continuous=batch.stream and not batch.pause,
            library=[PipelineLibrary(file=PipelineLibraryFile(path=source.path))],
            environment=PipelineEnvironment(dependencies=[wheel, *batch.packages]),
            configuration=dict(given),
            cluster=[_cluster(settings)],
            budget_policy_id=settings.endpoint.budget_policy_id,
            tags=dict(settings.tags) or None,
        )
        pipeline.override_logical_id("embedding_pipeline")
        levels = settings.object_levels("pipeline")
        access_list(self, "embedding_pipeline_permissions", levels, pipeline_id=pipeline.id)
        if not batch.stream:
            run = JobTaskPipelineTask(pipeline_id=pipeline.id)
            embedding_job(self, settings, JobTask(task_key="embed_cells", pipeline_task=run))


def _cluster(settings: Settings) -> PipelineCluster:
    """Return the machines; serverless ones give a function too little memory for the model."""
    batch = settings.batch
    return PipelineCluster(
        label="default",
        node_type_id=batch.node_type,
        num_workers=batch.workers,
        spark_conf=batch.spark_conf,
        custom_tags=dict(settings.tags) or None,
    )
