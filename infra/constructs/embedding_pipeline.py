"""The declarative pipeline that embeds a table of cells."""

from __future__ import annotations

import base64

from ..bindings import Construct, Pipeline, WorkspaceFile, declare
from ..settings import Settings
from ..wheel import tables_wheel
from .access import access_list, entries
from .embedding_job import embedding_job, machines

_SOURCE = "from scgpt_databricks.model.batch.spark.pipeline import define\n\ndefine()\n"


class EmbeddingPipeline(Construct):
    """Fills the table of embeddings for good, or when a job of the schedule starts it."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, version: int) -> None:
        super().__init__(scope, id_)
        batch, names, built = settings.batch, settings.names, tables_wheel()
        path = f"/Shared/{names.endpoint}/embeddings_pipeline.py"
        content = base64.b64encode(_SOURCE.encode()).decode()
        # Under the id that the CDK gives it: another would make the file anew.
        source = WorkspaceFile(self, "source", path=path, content_base64=content)
        catalog, schema, _ = batch.target.split(".")
        wheel = names.wheel_path(built.file_name, built.sha256)
        fields = {
            "name": names.watched("embed cells"),
            "catalog": catalog,
            "schema": schema,
            "continuous": batch.stream and not batch.pause,
            "library": [{"file": {"path": source.path}}],
            "environment": {"dependencies": [wheel, *batch.packages]},
            "configuration": {
                "scgpt.cells": str(batch.cells),
                "scgpt.embeddings": batch.target,
                "scgpt.model": f"models:/{names.full_model}/{version}",
                "scgpt.files_per_commit": str(batch.files_per_commit),
            },
            # Serverless machines give a function too little memory for the model.
            "cluster": [{"label": "default", **machines(settings)}],
            "budget_policy_id": settings.endpoint.budget_policy_id,
            "tags": dict(settings.tags) or None,
        }
        pipeline = declare(Pipeline, self, "embedding_pipeline", fields)
        levels = entries(settings.object_levels("pipeline"))
        access_list(self, "embedding_pipeline_permissions", levels, pipeline_id=pipeline.id)
        if not batch.stream:
            run = {"task_key": "embed_cells", "pipeline_task": {"pipeline_id": pipeline.id}}
            embedding_job(self, settings, {"task": [run]})
