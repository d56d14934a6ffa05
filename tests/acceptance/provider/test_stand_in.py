"""Real Terraform over the stand-in provider: what becomes of each resource."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.provider.conftest import Terraform
from tests.acceptance.provider.resources import ENDPOINT, SCHEMA, endpoint
from tests.acceptance.provider.workspace_stub import CATALOG, ENDPOINTS, ME, RefusedError, Workspace

pytestmark = pytest.mark.acceptance

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
