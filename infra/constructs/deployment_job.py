"""The deployment job of the registered model: each new version starts it (MLflow 3)."""

from __future__ import annotations

from .. import deployment_job, monitoring
from ..bindings import (
    Construct,
    Job,
    JobEnvironment,
    JobEnvironmentSpec,
    JobParameter,
    JobQueue,
    JobRunAs,
    JobTask,
    JobTaskDependsOn,
    JobTaskPythonWheelTask,
)
from ..settings import Settings
from ..wheel import deployment_wheel
from .access import access_list


class DeploymentJob(Construct):
    """Judges each new version, waits for a person, and says that it is ready.

    No resource of the provider connects it to the model: deploys do that by the API.
    """

    def __init__(self, scope: Construct, id_: str, settings: Settings, *, runs_as: str) -> None:
        super().__init__(scope, id_)
        names, built = settings.names, deployment_wheel()
        tasks = deployment_job.tasks(settings)
        before = dict(zip(tasks, [None, *tasks], strict=False))
        job = Job(
            self,
            "deployment",
            name=names.watched(deployment_job.TITLE),
            parameter=[
                JobParameter(name=name, default="") for name in deployment_job.JOB_PARAMETERS
            ],
            # The provider keeps tasks in the order of their keys: another is a difference for ever.
            task=[
                _task(key, before[key], deployment_job.arguments(settings, key), built.package)
                for key in sorted(tasks)
            ],
            environment=[
                JobEnvironment(
                    environment_key=monitoring.JOB_ENVIRONMENT_KEY,
                    spec=JobEnvironmentSpec(
                        environment_version=monitoring.JOB_ENVIRONMENT_VERSION,
                        dependencies=[names.wheel_path(built.file_name, built.sha256)],
                    ),
                )
            ],
            run_as=JobRunAs(user_name=runs_as)
            if "@" in runs_as
            else JobRunAs(service_principal_name=runs_as),
            queue=JobQueue(enabled=True),
            max_concurrent_runs=1,
            timeout_seconds=deployment_job.LONGEST_SECONDS,
            budget_policy_id=settings.endpoint.budget_policy_id,
            tags=dict(settings.tags) or None,
        )
        job.override_logical_id("job_deployment")
        levels = settings.object_levels("job")
        access_list(self, "job_deployment_permissions", levels, job_id=job.id)


def _task(key: str, before: str | None, arguments: list[str], package: str) -> JobTask:
    return JobTask(
        task_key=key,
        depends_on=[JobTaskDependsOn(task_key=before)] if before else None,
        environment_key=monitoring.JOB_ENVIRONMENT_KEY,
        # A retry asks the same question again; serverless compute would retry by itself.
        max_retries=0,
        disable_auto_optimization=True,
        python_wheel_task=JobTaskPythonWheelTask(
            package_name=package,
            entry_point=deployment_job.ENTRY_POINT,
            parameters=arguments,
        ),
    )
