"""MLflow experiments as Terraform and the unmodified SDK use them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import requests
from databricks.sdk.errors import NotFound, ResourceDoesNotExist
from databricks.sdk.service.ml import (
    ExperimentAccessControlRequest,
    ExperimentPermissionLevel,
    ExperimentTag,
)

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import call, sdk

pytestmark = pytest.mark.acceptance


def test_an_experiment_from_creation_to_deletion(running: Info) -> None:
    experiments = sdk(running).experiments
    tags = [ExperimentTag("team", "ml"), ExperimentTag("stage", "dev")]
    made = experiments.create_experiment("/Workspace/Shared/e", tags=tags).experiment_id
    assert made is not None
    found = experiments.get_experiment(made).experiment
    assert found is not None
    assert (found.name, found.lifecycle_stage) == ("/Shared/e", "active")
    assert sorted(found.tags or [], key=lambda tag: str(tag.key), reverse=True) == tags
    by_name = experiments.get_by_name("/Workspace/Shared/e").experiment
    assert by_name is not None
    assert by_name.experiment_id == made

    experiments.update_experiment(made, new_name="/Shared/f")
    experiments.delete_experiment(made)
    with pytest.raises(ResourceDoesNotExist):
        experiments.get_experiment(made)
    with pytest.raises(NotFound):
        experiments.get_by_name("/Shared/f")
    with pytest.raises(NotFound):
        experiments.delete_experiment(made)

    again = experiments.create_experiment("/Shared/f").experiment_id
    assert again not in (None, made)
    experiments.delete_experiment(str(again))
    experiments.restore_experiment(made)
    restored = experiments.get_by_name("/Shared/f").experiment
    assert restored is not None
    assert restored.experiment_id == made


def test_who_may_use_an_experiment(running: Info) -> None:
    """The list is kept as the service keeps it; deleted with its experiment, back with it."""
    client = sdk(running)
    made = client.experiments.create_experiment("/Shared/mine").experiment_id
    assert made is not None
    entry = ExperimentAccessControlRequest(
        group_name="scientists", permission_level=ExperimentPermissionLevel.CAN_EDIT
    )

    def listed() -> dict[str | None, list[str]]:
        found = client.experiments.get_permissions(made)
        assert found.object_type == "mlflowExperiment"
        return {
            each.user_name or each.group_name: [
                level.permission_level.value
                for level in each.all_permissions or []
                if level.permission_level
            ]
            for each in found.access_control_list or []
        }

    client.experiments.set_permissions(made, access_control_list=[entry])
    everybody = {"admin@local.test": ["CAN_MANAGE"], "scientists": ["CAN_EDIT"]}
    assert listed() == everybody | {"admins": ["CAN_MANAGE"]}
    client.experiments.delete_experiment(made)
    with pytest.raises(NotFound):
        client.experiments.get_permissions(made)
    client.experiments.restore_experiment(made)
    assert listed() == everybody | {"admins": ["CAN_MANAGE"]}


def test_a_server_that_died_is_started_again(running: Info) -> None:
    """Its SQLite file is the state: nothing is lost but the request under way."""
    made = sdk(running).experiments.create_experiment("/Shared/kept").experiment_id
    os.kill(_mlflow(running), signal.SIGKILL)
    answer = requests.Response()
    for _ in range(3):
        answer = call(
            running, "GET", "/api/2.0/mlflow/experiments/get", params={"experiment_id": made}
        )
        if answer.status_code != 503:
            break
    assert answer.json()["experiment"]["name"] == "/Shared/kept"


def _mlflow(info: Info) -> int:
    """Process id of the instance's MLflow server; killed, its supervisor ends what it started."""
    assert info.pid is not None
    for supervisor in _children(info.pid):
        if "\0mlflow\0server\0" in Path(f"/proc/{supervisor}/cmdline").read_text():
            (server,) = _children(supervisor)
            return server
    raise AssertionError("no MLflow server")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
