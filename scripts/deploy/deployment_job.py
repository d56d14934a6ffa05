"""The deployment job of the registered model, which the provider cannot connect to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra.deployment_job import TITLE
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.wheel import deployment_wheel

from .. import wheel

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_MODELS = "/api/2.0/mlflow/unity-catalog/registered-models"


def connect(client: WorkspaceClient, settings: Settings) -> None:
    """Let new versions start the declared job, or none where none is declared.

    Raises
    ------
    DatabricksError
        Whoever deploys may not change the model, or write its volume.
    """
    if settings.promotion.deployment_job is not None:
        wheel.upload(client, settings, deployment_wheel())
    wanted = declared(client, settings)
    if connected(client, settings) != wanted:
        body = {"name": settings.names.full_model, "deployment_job_id": wanted}
        client.api_client.do("PATCH", f"{_MODELS}/update", body=body)


def connected(client: WorkspaceClient, settings: Settings) -> str:
    """Return the id of the job that new versions start, or an empty string."""
    query = {"name": settings.names.full_model}
    answer: Any = client.api_client.do("GET", f"{_MODELS}/get", query=query)
    return str(answer["registered_model"].get("deployment_job_id", ""))


def declared(client: WorkspaceClient, settings: Settings) -> str:
    """Return the id of the job that the stack made, or an empty string where there is none."""
    if settings.promotion.deployment_job is None:
        return ""
    found = client.jobs.list(name=settings.names.watched(TITLE))
    return next((str(job.job_id) for job in found), "")
