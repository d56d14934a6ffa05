"""The deployment job of the registered model: each new version starts it (MLflow 3)."""

from __future__ import annotations

from typing import Any

from .. import deployment_job
from ..bindings import Construct, Job, declare
from ..settings import Settings
from ..wheel import deployment_wheel
from ..wheel_jobs import on_serverless, wheel_task
from .access import access_list, entries, named


class DeploymentJob(Construct):
    """Judges each new version, waits for a person, and says that it is ready.

    No resource of the provider connects it to the model: deploys do that by the API.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, runs_as: str) -> None:
        super().__init__(scope, id_)
        tasks = deployment_job.tasks(settings)
        before = dict(zip(tasks, [None, *tasks], strict=False))
        fields = {
            "name": settings.names.watched(deployment_job.TITLE),
            "parameter": [{"name": name, "default": ""} for name in deployment_job.JOB_PARAMETERS],
            # The provider keeps tasks in the order of their keys: another is a difference for ever.
            "task": [_task(settings, key, before[key]) for key in sorted(tasks)],
            **on_serverless(settings, deployment_wheel()),
            "run_as": named(runs_as),
            "timeout_seconds": deployment_job.LONGEST_SECONDS,
        }
        job = declare(Job, self, "job_deployment", fields)
        levels = entries(settings.object_levels("job"))
        access_list(self, "job_deployment_permissions", levels, job_id=job.id)


def _task(settings: Settings, key: str, before: str | None) -> dict[str, Any]:
    given = deployment_job.arguments(settings, key)
    return {
        **wheel_task(key, deployment_wheel(), deployment_job.ENTRY_POINT, given),
        "depends_on": [{"task_key": before}] if before else None,
        # A retry asks the same question again; serverless compute would retry by itself.
        "max_retries": 0,
        "disable_auto_optimization": True,
    }
