"""Jobs that run entry points of our own wheel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from ..monitoring import JOB_ENVIRONMENT_KEY, JOB_ENVIRONMENT_VERSION, LONGEST_SECONDS, Job
from ..naming import Names
from ..settings import Monitoring
from ..wheel import Wheel
from .access_list import access_list


class Jobs(Construct):
    """Every job of :data:`scgpt_databricks.infra.monitoring.JOBS`, on serverless compute."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        monitoring: Monitoring,
        warehouse: str,
        table: str,
        jobs: Sequence[Job],
        wheel: Wheel,
        tags: Mapping[str, str],
        budget_policy_id: str | None,
        levels: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        environment = _environment(names.wheel_path(wheel.file_name, wheel.sha256))
        for job in jobs:
            logical_id = f"job_{job.key}"
            resource = JobResource(
                self,
                logical_id,
                name=names.watched(job.title),
                task=[_task(job, wheel.package, table=table, warehouse=warehouse)],
                environment=[environment],
                schedule=JobSchedule(
                    quartz_cron_expression=job.schedule,
                    timezone_id=monitoring.timezone,
                    pause_status=monitoring.pause_status,
                ),
                email_notifications=JobEmailNotifications(on_failure=list(monitoring.emails))
                if monitoring.emails
                else None,
                queue=JobQueue(enabled=True),
                max_concurrent_runs=1,
                timeout_seconds=LONGEST_SECONDS,
                budget_policy_id=budget_policy_id,
                tags=dict(tags) or None,
            )
            resource.override_logical_id(logical_id)
            access_list(self, f"{logical_id}_permissions", levels, job_id=resource.id)


def _task(job: Job, package: str, *, table: str, warehouse: str) -> JobTask:
    return JobTask(
        task_key=job.key,
        environment_key=JOB_ENVIRONMENT_KEY,
        python_wheel_task=JobTaskPythonWheelTask(
            package_name=package,
            entry_point=job.entry_point,
            parameters=["--table", table, "--warehouse", warehouse, *job.parameters],
        ),
    )


def _environment(wheel_path: str) -> JobEnvironment:
    return JobEnvironment(
        environment_key=JOB_ENVIRONMENT_KEY,
        spec=JobEnvironmentSpec(
            environment_version=JOB_ENVIRONMENT_VERSION, dependencies=[wheel_path]
        ),
    )
