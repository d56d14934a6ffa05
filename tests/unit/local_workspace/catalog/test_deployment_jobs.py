"""A new version starts the deployment job that its model names."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.local_workspace.catalog.versions import START_JOB
from scgpt_databricks.local_workspace.core.workspace import Workspace
from tests.unit.local_workspace.catalog.unity_catalog import MLFLOW, new_version
from tests.unit.local_workspace.conftest import As, TestClient

TASK = {
    "task_key": "judge",
    "environment_key": "e",
    "python_wheel_task": {"package_name": "p", "entry_point": "e"},
}


@pytest.fixture
def started(admin: TestClient, workspace: Workspace) -> list[tuple[Any, ...]]:
    """What was started; nothing runs."""
    found: list[tuple[Any, ...]] = []
    workspace.runtime[START_JOB] = lambda *given: found.append(given)
    return found


def job(client: TestClient, *parameters: str) -> str:
    settings = {
        "name": "deployment",
        "tasks": [TASK],
        "environments": [{"environment_key": "e"}],
        "parameters": [{"name": name, "default": ""} for name in parameters],
    }
    return str(client.post("/api/2.2/jobs/create", json=settings).json()["job_id"])


def connect(client: TestClient, model: str, job_id: str) -> Any:
    body = {"name": model, "deployment_job_id": job_id}
    return client.patch(f"{MLFLOW}/registered-models/update", json=body)


def test_each_version_starts_it_once_with_its_number(
    admin: TestClient, workspace: Workspace, model: str, started: list[tuple[Any, ...]]
) -> None:
    new_version(admin, workspace, model)
    job_id = job(admin, "model_name", "model_version")
    admin.patch(f"{MLFLOW}/registered-models/update", json={"name": model, "description": "text"})
    view = connect(admin, model, job_id).json()["registered_model"]
    assert (view["deployment_job_id"], view["deployment_job_state"]) == (job_id, "CONNECTED")
    assert view["description"] == "text"
    number = new_version(admin, workspace, model)
    admin.post(f"{MLFLOW}/model-versions/finalize", json={"name": model, "version": number})
    ((document, owner, _, parameters),) = started
    assert (document["id"], owner) == (int(job_id), "admin@local.test")
    assert parameters == {"model_name": model, "model_version": "2"}


def test_an_empty_id_disconnects_it(
    admin: TestClient, workspace: Workspace, model: str, started: list[tuple[Any, ...]]
) -> None:
    connect(admin, model, job(admin, "model_name", "model_version"))
    assert "deployment_job_id" not in connect(admin, model, "").json()["registered_model"]
    new_version(admin, workspace, model)
    assert started == []


@pytest.mark.usefixtures("started")
def test_a_job_that_cannot_be_told_the_version_is_refused(
    admin: TestClient, as_: As, model: str
) -> None:
    refused = connect(admin, model, job(admin, "model_name"))
    assert refused.status_code == 400
    assert "has no parameter model_version" in refused.json()["message"]
    assert connect(admin, model, "12345").status_code == 404
    assert connect(as_("builder"), model, "").status_code == 403
