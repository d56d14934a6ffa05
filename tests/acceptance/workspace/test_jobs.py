"""Jobs through the unmodified SDK: definition, and runs as processes of this machine."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, OperationFailed, PermissionDenied
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType
from databricks.sdk.service.compute import Environment
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobEmailNotifications,
    JobEnvironment,
    JobParameterDefinition,
    JobRunAs,
    JobSettings,
    PauseStatus,
    PythonWheelTask,
    QueueSettings,
    Run,
    RunIf,
    RunLifeCycleState,
    RunOutput,
    RunResultState,
    RunTask,
    Task,
    TaskDependency,
    TerminationCodeCode,
)

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace import probe_wheel
from tests.acceptance.workspace.clients import call, sdk

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
    refused("run_if 'ALL_FAILED'", Task(**vars(task()) | {"run_if": RunIf.ALL_FAILED}))
    refused("hours must be 0-23", task(), schedule=CronSchedule("0 0 25 * * ?", "UTC"))
    reader = sdk(running, "local-reader")
    with pytest.raises(PermissionDenied, match="run_as"):
        reader.jobs.create(name="x", run_as=JobRunAs(user_name="admin@local.test"))
    made = admin.jobs.create(name="private")
    with pytest.raises(PermissionDenied, match="CAN_VIEW"):
        reader.jobs.get(int(made.job_id or 0))


@pytest.fixture(scope="module")
def wheel(running: Info) -> str:
    """The probe wheel in a volume."""
    client = sdk(running)
    client.schemas.create("jobs", "main")
    client.volumes.create("main", "jobs", "artifacts", VolumeType.MANAGED)
    client.files.create_directory("/Volumes/main/jobs/artifacts/wheels")
    client.files.upload(WHEEL, io.BytesIO(probe_wheel.build()), overwrite=True)
    return WHEEL


def _job(client: WorkspaceClient, *tasks: Task, **more: Any) -> int:
    given = {"name": "probe", "tasks": list(tasks), "environments": environments()}
    job_id = client.jobs.create(**given | more).job_id
    assert job_id is not None
    return job_id


def _finished(client: WorkspaceClient, run_id: int | None) -> Run:
    assert run_id is not None
    try:
        return client.jobs.wait_get_run_job_terminated_or_skipped(run_id, timedelta(seconds=60))
    except OperationFailed:
        return client.jobs.get_run(run_id)


def _output(client: WorkspaceClient, run: Run, task_key: str) -> RunOutput:
    (task_run,) = [one for one in run.tasks or [] if one.task_key == task_key]
    assert task_run.run_id is not None
    return client.jobs.get_run_output(task_run.run_id)


def _result(run: Run | RunTask) -> tuple[RunLifeCycleState | None, RunResultState | None]:
    assert run.state is not None
    return run.state.life_cycle_state, run.state.result_state


DONE, BROKEN = RunLifeCycleState.TERMINATED, RunLifeCycleState.INTERNAL_ERROR


def test_a_wheel_runs_as_the_principal_of_the_job(
    running: Info, admin: WorkspaceClient, wheel: str
) -> None:
    grant = PermissionsChange(principal="reader@local.test", add=[Privilege.READ_VOLUME])
    admin.grants.update("volume", "main.jobs.artifacts", changes=[grant])
    use = PermissionsChange(principal="reader@local.test", add=[Privilege.USE_SCHEMA])
    admin.grants.update("schema", "main.jobs", changes=[use])
    job = _job(
        admin,
        task(parameters=["--env", "{{job.parameters.env}}", "{{job.id}}"]),
        parameters=[JobParameterDefinition(name="env", default="dev")],
        run_as=JobRunAs(user_name="reader@local.test"),
    )
    run = admin.jobs.run_now(job, job_parameters={"env": "prod"}).result(timedelta(seconds=60))
    assert _result(run) == (DONE, RunResultState.SUCCESS)
    assert run.status is not None
    assert run.status.termination_details is not None
    assert run.status.termination_details.code == TerminationCodeCode.SUCCESS
    assert (run.end_time or 0) >= (run.start_time or 0) > 0
    printed = str(_output(admin, run, "t").logs).splitlines()
    assert printed == [
        f"arguments ['probe', '--env', 'prod', '{job}']",
        "user reader@local.test",
        "token [REDACTED]",
    ]
    assert [one.run_id for one in admin.jobs.list_runs(job_id=job)] == [run.run_id]
    assert len(list((running.folder / "wheels").iterdir())) == 1


def test_tasks_run_in_order_and_a_failure_stops_those_after_it(
    running: Info, admin: WorkspaceClient, wheel: str
) -> None:
    call(running, "DELETE", "/_local/outbox")
    after = Task(**vars(task(key="after")) | {"depends_on": [TaskDependency("wrong")]})
    anyway = Task(
        **vars(task("unlisted", key="anyway"))
        | {"depends_on": [TaskDependency("wrong")], "run_if": RunIf.ALL_DONE}
    )
    mails = JobEmailNotifications(on_failure=["on-call@lab.org"])
    job = _job(admin, after, anyway, task("fail", key="wrong"), email_notifications=mails)
    run = _finished(admin, admin.jobs.run_now(job).run_id)
    assert _result(run) == (DONE, RunResultState.FAILED)
    assert run.state is not None
    assert "Task wrong failed with message: Workload failed" in str(run.state.state_message)
    results = {one.task_key: _result(one) for one in run.tasks or []}
    assert results == {
        "wrong": (DONE, RunResultState.FAILED),
        "after": (RunLifeCycleState.SKIPPED, RunResultState.UPSTREAM_FAILED),
        "anyway": (DONE, RunResultState.SUCCESS),
    }
    failed = _output(admin, run, "wrong")
    assert failed.error == "ValueError: no cells"
    assert str(failed.error_trace).startswith("before\nTraceback")
    assert _output(admin, run, "anyway").logs == "found as a function\n"
    with pytest.raises(BadRequest, match="multiple tasks"):
        admin.jobs.get_run_output(int(run.run_id or 0))
    (mail,) = call(running, "GET", "/_local/outbox").json()["messages"]
    assert (mail["to"], mail["subject"]) == (["on-call@lab.org"], "Job probe failed")


def test_runs_that_do_not_come_to_a_good_end(
    running: Info, admin: WorkspaceClient, wheel: str
) -> None:
    left = _finished(admin, admin.jobs.run_now(_job(admin, task("leave"))).run_id)
    assert _result(left) == (DONE, RunResultState.FAILED)
    assert _output(admin, left, "t").error == "The process ended with status 3"
    unknown = _finished(admin, admin.jobs.run_now(_job(admin, task("nothing"))).run_id)
    assert "neither an entry point nor a function 'nothing'" in str(
        _output(admin, unknown, "t").error
    )
    missing = environments(WHEEL.replace("1.0", "2.0"))
    lost = _finished(admin, admin.jobs.run_now(_job(admin, task(), environments=missing)).run_id)
    assert _result(lost) == (BROKEN, RunResultState.FAILED)
    assert "probe-2.0-py3-none-any.whl does not exist" in str(_output(admin, lost, "t").error)
    slow = Task(**vars(task("sleep")) | {"timeout_seconds": 1})
    late = _finished(admin, admin.jobs.run_now(_job(admin, slow)).run_id)
    assert late.tasks is not None
    assert _result(late.tasks[0]) == (DONE, RunResultState.TIMEDOUT)


def test_a_second_run_waits_or_is_skipped(admin: WorkspaceClient, wheel: str) -> None:
    job = _job(admin, task("sleep"), queue=QueueSettings(enabled=True))
    first = int(admin.jobs.run_now(job, idempotency_token="once").run_id or 0)
    with pytest.raises(BadRequest, match="python_params is not understood here"):
        admin.jobs.run_now(job, python_params=["--day"])
    again = int(admin.jobs.run_now(job, idempotency_token="once").run_id or 0)
    assert again == first
    second = int(admin.jobs.run_now(job).run_id or 0)
    assert _result(admin.jobs.get_run(second))[0] == RunLifeCycleState.QUEUED
    admin.jobs.cancel_run(first).result(timedelta(seconds=30))
    assert _result(admin.jobs.get_run(first)) == (DONE, RunResultState.CANCELED)
    assert _result(admin.jobs.get_run(second))[0] in (
        RunLifeCycleState.PENDING,
        RunLifeCycleState.RUNNING,
    )
    admin.jobs.update(job, fields_to_remove=["queue"])
    third = _finished(admin, admin.jobs.run_now(job).run_id)
    assert _result(third)[1] == RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED
    admin.jobs.cancel_all_runs(job_id=job)
    assert _result(_finished(admin, second)) == (DONE, RunResultState.CANCELED)
    assert list(admin.jobs.list_runs(job_id=job, active_only=True)) == []
