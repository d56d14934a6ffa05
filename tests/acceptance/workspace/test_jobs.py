"""Jobs through the unmodified SDK: definition, and runs as processes of this machine."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.compute import Environment
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobEnvironment,
    JobParameterDefinition,
    JobRunAs,
    JobSettings,
    PauseStatus,
    PythonWheelTask,
    QueueSettings,
    Task,
    TaskDependency,
)

from infra.local_workspace.instance import Info

from .clients import call, sdk

pytestmark = pytest.mark.acceptance

WHEEL = "/Volumes/main/jobs/artifacts/wheels/probe-1.0-py3-none-any.whl"


@pytest.fixture
def admin(running: Info) -> WorkspaceClient:
    return sdk(running)


def task(entry_point: str = "main", *, key: str = "t", **more: Any) -> Task:
    wheel = PythonWheelTask("probe", entry_point, **more)
    return Task(task_key=key, environment_key="default", python_wheel_task=wheel)


def environments(wheel: str = WHEEL) -> list[JobEnvironment]:
    spec = Environment(dependencies=[wheel], environment_version="2")
    return [JobEnvironment(environment_key="default", spec=spec)]


def test_a_job_from_creation_to_deletion(running: Info, admin: WorkspaceClient) -> None:
    schedule = CronSchedule("0 0 6 * * ?", "UTC", PauseStatus.PAUSED)
    made = admin.jobs.create(
        name="report",
        tasks=[task(parameters=["--day", "1"])],
        environments=environments(),
        schedule=schedule,
        queue=QueueSettings(enabled=True),
        parameters=[JobParameterDefinition(name="env", default="dev")],
        tags={"team": "ml"},
    )
    assert made.job_id is not None
    job = admin.jobs.get(made.job_id)
    assert job.settings is not None
    assert (job.creator_user_name, job.run_as_user_name) == ("admin@local.test",) * 2
    assert (job.settings.name, job.settings.schedule) == ("report", schedule)
    assert job.settings.tasks is not None
    assert (
        job.settings.tasks[0].python_wheel_task == task(parameters=["--day", "1"]).python_wheel_task
    )
    old = call(running, "GET", "/api/2.0/jobs/get", params={"job_id": made.job_id}).json()
    assert old == job.as_dict() | {"settings": old["settings"]}
    (listed,) = admin.jobs.list(name="report", expand_tasks=True)
    assert (listed.job_id, listed.settings) == (made.job_id, job.settings)

    admin.jobs.update(made.job_id, new_settings=JobSettings(name="r2"), fields_to_remove=["tags"])
    after = admin.jobs.get(made.job_id).settings
    assert after is not None
    assert (after.name, after.tags, after.schedule) == ("r2", None, schedule)
    admin.jobs.reset(
        made.job_id, JobSettings(name="r3", tasks=[task()], environments=environments())
    )
    after = admin.jobs.get(made.job_id).settings
    assert after is not None
    assert (after.name, after.schedule, after.parameters) == ("r3", None, [])

    admin.jobs.delete(made.job_id)
    with pytest.raises(NotFound, match="does not exist"):
        admin.jobs.get(made.job_id)


def test_what_a_job_cannot_be(running: Info, admin: WorkspaceClient) -> None:
    def refused(match: str, *tasks: Task, **more: Any) -> None:
        with pytest.raises(BadRequest, match=match):
            admin.jobs.create(name="x", tasks=list(tasks), environments=environments(), **more)

    refused("once in a job", task(), task())
    refused("which is no task", Task(**vars(task()) | {"depends_on": [TaskDependency("u")]}))
    refused("exactly one field", Task(task_key="t"))
    refused("'other' is not in environments", Task(**vars(task()) | {"environment_key": "other"}))
    refused("entry_point is missing", task(""))
    refused("circle", Task(**vars(task()) | {"depends_on": [TaskDependency("t")]}))
    refused("hours '25'", task(), schedule=CronSchedule("0 0 25 * * ?", "UTC"))
    reader = sdk(running, "local-reader")
    with pytest.raises(PermissionDenied, match="run_as"):
        reader.jobs.create(name="x", run_as=JobRunAs(user_name="admin@local.test"))
    made = admin.jobs.create(name="private")
    with pytest.raises(PermissionDenied, match="CAN_VIEW"):
        reader.jobs.get(int(made.job_id or 0))
