"""Jobs that run entry points of our own wheel."""

from __future__ import annotations

from .. import monitoring
from ..bindings import (
    Construct,
    JobEmailNotifications,
    JobEnvironment,
    JobEnvironmentSpec,
    JobQueue,
    JobSchedule,
    JobTask,
    JobTaskPythonWheelTask,
)
from ..bindings import Job as JobResource
from ..settings import Settings
from ..wheel import wheel
from .access import access_list


class Jobs(Construct):
    """Every job of :data:`scgpt_databricks.infra.monitoring.JOBS`, on serverless compute."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, *, warehouse: str, table: str
    ) -> None:
        super().__init__(scope, id_)
        names, watch, built = settings.names, settings.monitoring, wheel()
        environment = _environment(names.wheel_path(built.file_name, built.sha256))
        for job in monitoring.JOBS:
            logical_id = f"job_{job.key}"
            resource = JobResource(
                self,
                logical_id,
                name=names.watched(job.title),
                task=[
                    _task(
                        job,
                        built.package,
                        monitoring.arguments(
                            job, table=table, warehouse=warehouse, **settings.job_values
                        ),
                    )
                ],
                environment=[environment],
                schedule=JobSchedule(
                    quartz_cron_expression=job.schedule,
                    timezone_id=watch.timezone,
                    pause_status=watch.pause_status,
                ),
                email_notifications=JobEmailNotifications(on_failure=list(watch.emails))
                if watch.emails
                else None,
                queue=JobQueue(enabled=True),
                max_concurrent_runs=1,
                timeout_seconds=monitoring.LONGEST_SECONDS,
                budget_policy_id=settings.endpoint.budget_policy_id,
                tags=dict(settings.tags) or None,
            )
            resource.override_logical_id(logical_id)
            levels = settings.object_levels("job")
            access_list(self, f"{logical_id}_permissions", levels, job_id=resource.id)


def _task(job: monitoring.Job, package: str, parameters: list[str]) -> JobTask:
    return JobTask(
        task_key=job.key,
        environment_key=monitoring.JOB_ENVIRONMENT_KEY,
        python_wheel_task=JobTaskPythonWheelTask(
            package_name=package,
            entry_point=job.entry_point,
            parameters=parameters,
        ),
    )


def _environment(wheel_path: str) -> JobEnvironment:
    return JobEnvironment(
        environment_key=monitoring.JOB_ENVIRONMENT_KEY,
        spec=JobEnvironmentSpec(
            environment_version=monitoring.JOB_ENVIRONMENT_VERSION, dependencies=[wheel_path]
        ),
    )
