"""Real Terraform over the stand-in provider."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Terraform
from .workspace_stub import CATALOG, ENDPOINTS, ME, TOKEN, RefusedError, Workspace

pytestmark = pytest.mark.acceptance

SCHEMA = {"s": {"catalog_name": "main", "name": "scgpt", "comment": "c"}}
ENDPOINT: dict[str, Any] = {
    "name": "ep",
    "config": {
        "served_entities": [{"name": "m-1", "entity_name": "main.scgpt.m", "entity_version": "1"}],
        "traffic_config": {"routes": [{"served_model_name": "m-1", "traffic_percentage": 100}]},
    },
    "ai_gateway": {"usage_tracking_config": {"enabled": True}},
    "tags": [{"key": "team", "value": "bio"}, {"key": "only"}],
}
ALL: dict[str, Any] = {
    "databricks_schema": SCHEMA,
    "databricks_volume": {
        "v": {
            "catalog_name": "main",
            "schema_name": "${databricks_schema.s.name}",
            "name": "artifacts",
            "volume_type": "MANAGED",
        }
    },
    "databricks_registered_model": {
        "m": {"catalog_name": "main", "schema_name": "${databricks_schema.s.name}", "name": "m"}
    },
    "databricks_grant": {
        "g": {
            "model": "${databricks_registered_model.m.id}",
            "principal": "scientists",
            "privileges": ["EXECUTE", "apply tag"],
        }
    },
    "databricks_model_serving": {"e": ENDPOINT},
    "databricks_permissions": {
        "p": {
            "serving_endpoint_id": "${databricks_model_serving.e.serving_endpoint_id}",
            "access_control": [{"group_name": "scientists", "permission_level": "CAN_QUERY"}],
        }
    },
}
IDS = {
    "databricks_schema.s": "main.scgpt",
    "databricks_volume.v": "main.scgpt.artifacts",
    "databricks_registered_model.m": "main.scgpt.m",
    "databricks_grant.g": "model/main.scgpt.m/scientists",
    "databricks_model_serving.e": "ep",
    "databricks_permissions.p": "/serving-endpoints/id-ep",
}


def endpoint(**changed: Any) -> dict[str, Any]:
    return {"databricks_model_serving": {"e": {**ENDPOINT, **changed}}}


def test_from_nothing_to_everything_and_back(terraform: Terraform, workspace: Workspace) -> None:
    terraform.write(ALL)
    terraform.run("init")
    assert "Plan: 6 to add, 0 to change, 0 to destroy." in terraform.changes(2)
    terraform.apply()
    assert {a: i["attributes"]["id"] for a, i in terraform.state().items()} == IDS
    terraform.changes(0)

    workspace.objects[f"{CATALOG}/schemas/main.scgpt"]["comment"] = "changed behind its back"
    workspace.objects[f"{ENDPOINTS}/ep"]["config"]["served_entities"][0]["entity_version"] = "9"
    assert "Plan: 0 to add, 2 to change, 0 to destroy." in terraform.changes(2)
    terraform.apply()
    terraform.changes(0)
    assert workspace.objects[f"{CATALOG}/schemas/main.scgpt"]["comment"] == "c"

    (terraform.folder / "terraform.tfstate").unlink()
    for address, identifier in IDS.items():
        terraform.run("import", address, identifier)
    terraform.changes(0)

    before = len(workspace.writes())
    terraform.run("destroy", "-auto-approve")
    assert terraform.state() == {}
    assert workspace.objects == {}
    assert [path for method, path, _ in workspace.writes()[before:] if method == "PUT"] == [
        "/api/2.0/permissions/serving-endpoints/id-ep"
    ]
    assert all(
        agent.startswith("databricks-tf-provider-standin/1.99.0") for agent in workspace.agents
    )
    assert any("resource/model_serving" in agent for agent in workspace.agents)


def test_the_token_is_nowhere(terraform: Terraform, tmp_path: Path) -> None:
    terraform.environment["TF_LOG"] = "trace"
    terraform.environment["TF_LOG_PATH"] = str(tmp_path / "log")
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    terraform.run("plan", "-out", "saved")
    terraform.run("apply", "saved")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / "log") in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert [text for text in terraform.outputs if TOKEN in text] == []


def test_a_profile_of_a_configuration_file(terraform: Terraform, tmp_path: Path) -> None:
    host, token = (terraform.environment.pop(f"DATABRICKS_{n}") for n in ("HOST", "TOKEN"))
    profiles = tmp_path / "databrickscfg"
    profiles.write_text(f"[local]\nhost = {host}\ntoken = {token}\n")
    terraform.environment["DATABRICKS_CONFIG_FILE"] = str(profiles)
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    assert "no profile 'DEFAULT'" in terraform.run("plan", code=1)
    terraform.environment["DATABRICKS_CONFIG_PROFILE"] = "local"
    terraform.apply()


@pytest.mark.parametrize(
    "host", ["https://adb-1.azuredatabricks.net", "http://127.0.0.1.example.com", "http://10.0.0.1"]
)
def test_a_host_elsewhere_is_refused(terraform: Terraform, host: str) -> None:
    terraform.environment["DATABRICKS_HOST"] = host
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    assert "is not on this machine. This is the stand-in" in terraform.run("plan", code=1)


def test_a_wrong_token(terraform: Terraform) -> None:
    terraform.environment["DATABRICKS_TOKEN"] = "dapi-wrong"
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    text = terraform.apply(code=1)
    assert "Error: cannot create schema: Invalid access token." in text
    assert "dapi-wrong" not in text
    assert terraform.state() == {}


def test_nobody_listening(terraform: Terraform) -> None:
    terraform.environment["DATABRICKS_HOST"] = "http://127.0.0.1:1"
    terraform.write({"databricks_schema": SCHEMA}, retry_timeout_seconds=2)
    terraform.run("init")
    started = time.monotonic()
    assert "Connection refused" in terraform.apply(code=1)
    assert time.monotonic() - started < 10


def test_a_busy_server_is_asked_again(terraform: Terraform, workspace: Workspace) -> None:
    workspace.faults["POST", f"{CATALOG}/schemas"] = [
        RefusedError(429, "slow"),
        RefusedError(503, "later"),
    ]
    terraform.write({"databricks_schema": SCHEMA}, retry_timeout_seconds=30)
    terraform.run("init")
    terraform.apply()
    assert [path for method, path, _ in workspace.writes()] == [f"{CATALOG}/schemas"] * 3


def test_half_a_create_is_tainted(terraform: Terraform, workspace: Workspace) -> None:
    workspace.faults["PATCH", f"{CATALOG}/schemas/main.scgpt"] = [
        RefusedError(400, "no such owner")
    ]
    terraform.write({"databricks_schema": {"s": {**SCHEMA["s"], "owner": "nobody"}}})
    terraform.run("init")
    assert "cannot create schema: no such owner" in terraform.apply(code=1)
    assert terraform.state()["databricks_schema.s"]["status"] == "tainted"
    assert "is tainted, so must be replaced" in terraform.changes(2)


def test_a_failed_deployment_is_deleted(terraform: Terraform, workspace: Workspace) -> None:
    workspace.update_state = "UPDATE_FAILED"
    terraform.write(endpoint())
    terraform.run("init")
    assert "failed to reach NOT_UPDATING, got UPDATE_FAILED" in terraform.apply(code=1)
    assert terraform.state() == {}
    assert [method for method, _, _ in workspace.writes()] == ["POST", "DELETE"]


def test_the_time_limit_of_a_create(terraform: Terraform, workspace: Workspace) -> None:
    workspace.update_state = "IN_PROGRESS"
    terraform.write(endpoint(timeouts={"create": "11s"}))
    terraform.run("init")
    assert "timed out: current status: IN_PROGRESS" in terraform.apply(code=1)
    assert terraform.state() == {}


def test_a_failed_update_is_kept_as_planned(terraform: Terraform, workspace: Workspace) -> None:
    """As the real provider has it: what the server never took is not seen again."""
    without = {key: value for key, value in ENDPOINT.items() if key != "ai_gateway"}
    terraform.write({"databricks_model_serving": {"e": without}})
    terraform.run("init")
    terraform.apply()
    workspace.faults["PUT", f"{ENDPOINTS}/ep/ai-gateway"] = [RefusedError(400, "not today")]
    terraform.write(endpoint())
    assert "cannot update model serving: not today" in terraform.apply(code=1)
    assert "status" not in terraform.state()["databricks_model_serving.e"]
    terraform.changes(0)


def test_the_gateway_cannot_be_removed(terraform: Terraform) -> None:
    terraform.write(endpoint())
    terraform.run("init")
    terraform.apply()
    without = {key: value for key, value in ENDPOINT.items() if key != "ai_gateway"}
    terraform.write({"databricks_model_serving": {"e": without}})
    assert "the block ai_gateway cannot be removed" in terraform.apply(code=1)


def test_prevent_destroy(terraform: Terraform) -> None:
    kept = {**SCHEMA["s"], "lifecycle": {"prevent_destroy": True}}
    terraform.write({"databricks_schema": {"s": kept}})
    terraform.run("init")
    terraform.apply()
    terraform.write({"databricks_schema": {"s": {**kept, "name": "other"}}})
    assert "Instance cannot be destroyed" in terraform.run("plan", code=1)


def test_what_is_not_supported(terraform: Terraform) -> None:
    entry = {"group_name": "users", "permission_level": "CAN_RUN"}
    permissions = {"cluster_id": "1", "access_control": [entry]}
    terraform.write({"databricks_permissions": {"p": permissions}})
    terraform.run("init")
    text = terraform.run("validate", code=1)
    assert "supports serving_endpoint_id, experiment_id, job_id, sql_endpoint_id" in text
    assert "not cluster_id" in text


def test_the_caller_stays_in_the_list(terraform: Terraform, workspace: Workspace) -> None:
    terraform.write(ALL)
    terraform.run("init")
    terraform.apply()
    (entries,) = workspace.lists.values()
    assert {"user_name": ME, "permission_level": "CAN_MANAGE"} in entries


def test_an_interrupt_keeps_the_endpoint_in_state(
    terraform: Terraform, workspace: Workspace
) -> None:
    workspace.update_state = "IN_PROGRESS"
    terraform.write(endpoint())
    terraform.run("init")
    running = _started(terraform, workspace)
    os.killpg(running.pid, signal.SIGINT)
    text, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "cannot create model serving: interrupted" in text
    assert terraform.state()["databricks_model_serving.e"]["status"] == "tainted"
    _nobody_left(terraform)

    workspace.update_state = "NOT_UPDATING"
    terraform.apply()
    assert [method for method, _, _ in workspace.writes()] == ["POST", "DELETE", "POST"]
    terraform.changes(0)


def test_the_provider_ends_with_a_killed_terraform(
    terraform: Terraform, workspace: Workspace
) -> None:
    workspace.update_state = "IN_PROGRESS"
    terraform.write(endpoint())
    terraform.run("init")
    running = _started(terraform, workspace)
    running.kill()
    running.communicate(timeout=30)
    _nobody_left(terraform)


def _started(terraform: Terraform, workspace: Workspace) -> subprocess.Popen[str]:
    """An apply that waits for the endpoint, in a process group of its own."""
    running = subprocess.Popen(
        ["terraform", "apply", "-auto-approve", "-no-color"],
        cwd=terraform.folder,
        env=terraform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 30
    while ("GET", f"{ENDPOINTS}/ep", None) not in workspace.requests:
        assert time.monotonic() < limit, "the apply never looked at the endpoint"
        time.sleep(0.05)
    return running


def _nobody_left(terraform: Terraform) -> None:
    """No process whose environment names this test's configuration, within three seconds."""
    mark = f"TF_CLI_CONFIG_FILE={terraform.environment['TF_CLI_CONFIG_FILE']}".encode()
    limit = time.monotonic() + 3
    while left := [pid for pid in Path("/proc").glob("[0-9]*") if mark in _environment(pid)]:
        assert time.monotonic() < limit, f"still running: {left}"
        time.sleep(0.1)


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
