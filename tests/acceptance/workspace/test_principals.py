"""Principals are separate: what one may do with the runs, models and jobs of another."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import httpx  # it sends a path as it stands; requests takes dot segments out
import mlflow
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.catalog import VolumeType
from databricks.sdk.service.compute import Environment
from databricks.sdk.service.jobs import JobEnvironment, PythonWheelTask, Task
from databricks.sdk.service.ml import (
    ExperimentAccessControlRequest,
    ExperimentPermissionLevel,
)
from mlflow.entities import Metric
from mlflow.exceptions import RestException

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace import probe_wheel
from tests.acceptance.workspace.clients import call, sdk

pytestmark = pytest.mark.acceptance

TRACKING = "/api/2.0/mlflow"
Become = Callable[[str], mlflow.MlflowClient]


@pytest.fixture
def become(running: Info, monkeypatch: pytest.MonkeyPatch) -> Become:
    """Unmodified mlflow as a principal, by the profile of its token."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(running.config))

    def client(profile: str) -> mlflow.MlflowClient:
        monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", profile)  # artifacts go by this one
        return mlflow.MlflowClient(f"databricks://{profile}", "databricks-uc")

    return client


@pytest.fixture
def admin(running: Info) -> WorkspaceClient:
    return sdk(running)


def _share(admin: WorkspaceClient, experiment: str, level: ExperimentPermissionLevel) -> None:
    entry = ExperimentAccessControlRequest(group_name="scientists", permission_level=level)
    admin.experiments.set_permissions(experiment, access_control_list=[entry])


def test_runs_have_the_levels_of_their_experiment(
    running: Info, admin: WorkspaceClient, become: Become, tmp_path: Path
) -> None:
    own = become("local")
    experiment = own.create_experiment("/Shared/levels")
    run = own.create_run(experiment).info.run_id
    model = own.create_logged_model(experiment, "code", source_run_id=run).model_id
    (tmp_path / "code.py").write_text("1")
    own.log_artifact(run, str(tmp_path / "code.py"))
    reader, files = become("local-reader"), sdk(running, "local-reader").files
    root = f"/WorkspaceInternal/Mlflow/Artifacts/{experiment}"
    logged, code = f"{root}/Runs/{run}/artifacts", f"{root}/LoggedModels/{model}/code.py"

    def reads() -> list[object]:
        found = [each.experiment_id for each in reader.search_experiments()]
        assert (experiment in found) == bool(reader.get_experiment(experiment))
        listed = [
            file.name for file in files.list_directory_contents(f"{root}/Runs/{run}/artifacts")
        ]
        runs = [each.info.run_id for each in reader.search_runs([experiment])]
        return [listed, runs, reader.get_logged_model(model).name]

    writes: list[Callable[[], object]] = [
        lambda: reader.set_tag(run, "a", "b"),
        lambda: reader.log_param(run, "p", 1),
        lambda: reader.log_batch(run, [Metric("m", 1.0, 1, 0)]),
        lambda: files.upload(f"{logged}/code.py", io.BytesIO(b"2"), overwrite=True),
        lambda: files.upload(code, io.BytesIO(b"2"), overwrite=True),
        lambda: reader.set_logged_model_tags(model, {"a": "b"}),
        lambda: reader.create_run(experiment),
        lambda: reader.set_experiment_tag(experiment, "a", "b"),
        lambda: reader.update_run(run, name="x"),
        lambda: reader.delete_run(run),
        lambda: reader.restore_run(run),
    ]
    manages: list[Callable[[], object]] = [
        lambda: reader.rename_experiment(experiment, "/Shared/stolen"),
        lambda: reader.delete_experiment(experiment),
    ]
    with pytest.raises(RestException, match="PERMISSION_DENIED"):
        reads()
    assert experiment not in [each.experiment_id for each in reader.search_experiments()]
    _share(admin, experiment, ExperimentPermissionLevel.CAN_READ)
    assert reads() == [["code.py"], [run], "code"]
    for write in (*writes, *manages):
        with pytest.raises((RestException, PermissionDenied), match=r"CAN_EDIT|CAN_MANAGE"):
            write()
    _share(admin, experiment, ExperimentPermissionLevel.CAN_EDIT)
    for write in writes:
        write()
    for write in manages:
        with pytest.raises(RestException, match="CAN_MANAGE"):
            write()
    _share(admin, experiment, ExperimentPermissionLevel.CAN_MANAGE)
    for write in manages:
        write()
    with pytest.raises(RestException, match="does not exist"):
        reader.get_run(run)


def test_no_spelling_of_an_id_gets_past_its_experiment(
    running: Info, admin: WorkspaceClient, become: Become
) -> None:
    experiment = become("local").create_experiment("/Shared/spelt")
    run = become("local").create_run(experiment).info.run_id
    mine = become("local-reader").create_experiment("/Users/reader@local.test/spelt")
    own_run = become("local-reader").create_run(mine).info.run_id
    tag = {"key": "k", "value": "v"}
    for body in (
        tag | {"run_id": run},
        tag | {"runId": run},
        tag | {"run_uuid": run},
        tag | {"run_id": own_run, "runUuid": run},
    ):
        answer = call(running, "POST", f"{TRACKING}/runs/set-tag", "local-reader", json=body)
        assert answer.status_code == 403, body
    search = {"experiment_ids": [mine, experiment]}
    answer = call(running, "POST", f"{TRACKING}/runs/search", "local-reader", json=search)
    assert answer.status_code == 403
    metric = {"run_id": own_run, "key": "k", "value": 1, "timestamp": 0}
    model = become("local").create_logged_model(experiment, "m").model_id
    answer = call(
        running,
        *("POST", f"{TRACKING}/runs/log-metric", "local-reader"),
        json=metric | {"model_id": model},
    )
    assert answer.status_code == 403
    # A query beside a body, and a second value of a name, count as well.
    for query in (f"run_id={own_run}&run_id={run}", f"run_id={run}&run_id={own_run}"):
        answer = call(running, "GET", f"{TRACKING}/runs/get?{query}", "local-reader")
        assert answer.status_code == 403
    answer = call(running, "GET", f"{TRACKING}/runs/get", "local-reader", json={"run_id": run})
    assert answer.status_code in (400, 403)
    assert "k" not in become("local").get_run(run).data.tags


@pytest.mark.parametrize(
    "rest",
    [
        "../../../get-artifact?path=a&run_uuid=r",
        "runs/../../../get-artifact?path=a",
        "runs/%2e%2e/registered-models/search",
        "traces/..%2f..%2f..%2f..%2fgraphql",
        "webhooks",
        "runs/nothing",
        "experiments/..%252f..%252fget-artifact",
        "logged-models/m%3fx=1",
        "../../../version",
    ],
)
def test_nothing_else_of_the_inner_server_is_reached(running: Info, rest: str) -> None:
    """Also as admin: a path of the proxy is one of its table, or refused in JSON."""
    token = sdk(running).config.token
    url = httpx.URL(f"{running.url}").copy_with(raw_path=f"{TRACKING}/{rest}".encode())
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    assert answer.status_code in (400, 404, 501)
    assert answer.json()["error_code"] in (
        *("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "NOT_IMPLEMENTED"),
    )


def test_artifacts_lie_in_the_workspace_or_in_a_volume_of_the_callers(
    running: Info, admin: WorkspaceClient, become: Become, tmp_path: Path
) -> None:
    admin.schemas.create("places", "main")
    admin.volumes.create("main", "places", "v", VolumeType.MANAGED)
    reader = become("local-reader")
    volume = running.folder / "files" / "Volumes" / "main" / "places" / "v"
    for location in (f"file://{volume}", str(volume), "relative", "s3://bucket/x", "dbfs:/x"):
        with pytest.raises(RestException, match="artifact_location"):
            reader.create_experiment("/Shared/local", artifact_location=location)
    inside = "dbfs:/Volumes/main/places/v/runs"
    with pytest.raises(RestException, match="PERMISSION_DENIED"):
        reader.create_experiment("/Shared/local", artifact_location=inside)
    assert list(volume.iterdir()) == []

    own = become("local")
    run = own.create_run(own.create_experiment("/Shared/local", artifact_location=inside))
    own.log_text(run.info.run_id, "1", "a.txt")
    assert [file.path for file in own.list_artifacts(run.info.run_id)] == ["a.txt"]
    assert [file.name for file in volume.rglob("*.txt")] == ["a.txt"]


def test_a_home_is_its_owners(running: Info, become: Become) -> None:
    reader = sdk(running, "local-reader")
    homes = ("/Users/admin@local.test", "/Workspace/Users/Admin@local.test", "/Users/nobody")
    for home in homes:
        with pytest.raises(PermissionDenied, match="may not write to"):
            reader.experiments.create_experiment(f"{home}/e")
        with pytest.raises(PermissionDenied, match="may not write to"):
            reader.workspace.mkdirs(f"{home}/folder")
    with pytest.raises(BadRequest, match="absolute"):
        reader.experiments.create_experiment("/Shared/../Users/admin@local.test/e")
    own = reader.experiments.create_experiment("/Users/reader@local.test/e").experiment_id
    with pytest.raises(PermissionDenied, match="may not write to"):
        reader.experiments.update_experiment(str(own), new_name="/Users/admin@local.test/e")


def test_a_wheel_of_a_job_lies_in_a_volume(running: Info, become: Become) -> None:
    """Beside artifacts of runs lies what others wrote: no job takes its code from there."""
    mine = become("local-reader").create_experiment("/Users/reader@local.test/wheel")
    reader = sdk(running, "local-reader")
    path = f"/WorkspaceInternal/Mlflow/Artifacts/{mine}/{probe_wheel.NAME}"
    reader.files.upload(path, io.BytesIO(probe_wheel.build()))
    task = Task(
        task_key="t", environment_key="e", python_wheel_task=PythonWheelTask("probe", "main")
    )
    spec = Environment(dependencies=[path], environment_version="2")
    job = reader.jobs.create(
        name="wheel",
        tasks=[task],
        environments=[JobEnvironment(environment_key="e", spec=spec)],
    )
    run = reader.jobs.run_now(int(job.job_id or 0))
    with pytest.raises(Exception, match="must lie in a volume"):
        run.result()


def test_an_unknown_experiment_is_not_found(running: Info) -> None:
    reader = sdk(running, "local-reader")
    for unknown in ("0", "999", "x"):
        with pytest.raises(NotFound):
            reader.experiments.get_experiment(unknown)
        with pytest.raises(NotFound):
            reader.experiments.create_run(experiment_id=unknown)
