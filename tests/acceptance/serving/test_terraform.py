"""Terraform's view: what it applied it finds again, whatever part of the endpoint changed."""

from __future__ import annotations

import configparser
import copy
import sys
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.local_workspace.server.instance import Info
from scgpt_databricks.local_workspace.stand_in_provider.mirror import write_mirror
from tests.acceptance.provider.conftest import Terraform
from tests.acceptance.serving.conftest import MODEL, sdk

pytestmark = pytest.mark.acceptance

NAME = "planned"


@pytest.fixture
def terraform(running: Info, tmp_path: Path) -> Terraform:
    folder = tmp_path / "stack"
    folder.mkdir()
    mirror = write_mirror(tmp_path / "terraform", Path(sys.executable))
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TF_CLI_CONFIG_FILE": str(mirror.terraformrc),
        "CHECKPOINT_DISABLE": "1",
        "DATABRICKS_HOST": str(running.url),
        "DATABRICKS_TOKEN": _token(running, "local"),
    }
    return Terraform(folder, environment)


def _entity(version: int) -> dict[str, Any]:
    return {
        "name": f"marked-{version}",
        "entity_name": MODEL,
        "entity_version": str(version),
        "workload_size": "Small",
        "workload_type": "GPU_SMALL",
        "scale_to_zero_enabled": False,
    }


def _stack(*shares: tuple[int, int]) -> dict[str, Any]:
    routes = [{"served_model_name": f"marked-{v}", "traffic_percentage": p} for v, p in shares]
    endpoint = {
        "name": NAME,
        "config": {
            "served_entities": [_entity(version) for version, _ in shares],
            "traffic_config": {"routes": routes},
        },
        "ai_gateway": {
            "inference_table_config": {
                "enabled": True,
                "catalog_name": "main",
                "schema_name": "served",
                "table_name_prefix": NAME,
            },
            "usage_tracking_config": {"enabled": True},
            "rate_limits": [{"calls": 100, "key": "endpoint", "renewal_period": "minute"}],
        },
        "tags": [{"key": "team", "value": "bio"}, {"key": "cost", "value": "1"}],
        "timeouts": {"create": "5m", "update": "5m"},
    }
    access = {"group_name": "scientists", "permission_level": "CAN_QUERY"}
    permissions = {
        "serving_endpoint_id": "${databricks_model_serving.e.serving_endpoint_id}",
        "access_control": [access],
    }
    return {
        "databricks_model_serving": {"e": endpoint},
        "databricks_permissions": {"p": permissions},
    }


def test_every_change_is_applied_and_the_next_plan_is_empty(
    running: Info, terraform: Terraform
) -> None:
    stack = _stack((1, 100))
    steps = [stack, _stack((1, 90), (2, 10)), _stack((2, 100))]
    changed = copy.deepcopy(steps[-1])
    endpoint = changed["databricks_model_serving"]["e"]
    endpoint["tags"] = [{"key": "team", "value": "cells"}]
    endpoint["ai_gateway"] = {"usage_tracking_config": {"enabled": True}}
    changed["databricks_permissions"]["p"]["access_control"][0]["permission_level"] = "CAN_MANAGE"
    emptied = copy.deepcopy(changed)
    emptied["databricks_model_serving"]["e"]["ai_gateway"] = {}
    provider = {"retry_timeout_seconds": 30}
    terraform.write(stack, **provider)
    terraform.run("init")
    for step in (*steps, changed, emptied):
        terraform.write(step, **provider)
        terraform.changes(2)
        terraform.apply()
        terraform.changes(0)
    client = sdk(running, "local")
    found = client.serving_endpoints.get(NAME)
    assert [tag.as_dict() for tag in found.tags or []] == [{"key": "team", "value": "cells"}]
    terraform.run("destroy", "-auto-approve")
    assert NAME not in [each.name for each in client.serving_endpoints.list()]


def test_whoever_plans_sees_the_same(running: Info, terraform: Terraform) -> None:
    """One principal deploys, another plans: equal where the deployer's entry is declared."""
    stack = _stack((1, 100))
    endpoint = stack["databricks_model_serving"]["e"]
    endpoint["name"] = "shared"
    endpoint["ai_gateway"]["inference_table_config"]["table_name_prefix"] = "shared"
    declared = stack["databricks_permissions"]["p"]["access_control"]
    terraform.write(stack, retry_timeout_seconds=30)
    terraform.run("init")
    terraform.apply()
    terraform.environment["DATABRICKS_TOKEN"] = _token(running, "local-reader")
    terraform.changes(2)
    terraform.environment["DATABRICKS_TOKEN"] = _token(running, "local")
    declared.append({"user_name": "admin@local.test", "permission_level": "CAN_MANAGE"})
    terraform.write(stack, retry_timeout_seconds=30)
    terraform.apply()
    terraform.changes(0)
    terraform.environment["DATABRICKS_TOKEN"] = _token(running, "local-reader")
    terraform.changes(0)
    terraform.environment["DATABRICKS_TOKEN"] = _token(running, "local")
    shared = sdk(running, "local").serving_endpoints.get("shared")
    answer = sdk(running, "local").permissions.get("serving-endpoints", str(shared.id))
    listed = [e.user_name for e in answer.access_control_list or [] if e.user_name]
    assert listed == ["admin@local.test"]
    terraform.run("destroy", "-auto-approve")


def _token(running: Info, profile: str) -> str:
    profiles = configparser.ConfigParser()
    assert running.config is not None
    profiles.read(running.config)
    return profiles[profile]["token"]


def test_a_version_that_does_not_start_fails_the_apply_and_leaves_nothing(
    running: Info, terraform: Terraform
) -> None:
    stack = _stack((3, 100))
    endpoint = stack["databricks_model_serving"]["e"]
    endpoint["name"] = "failing"
    del endpoint["ai_gateway"]
    terraform.write(stack, retry_timeout_seconds=30)
    terraform.run("init")
    assert "UPDATE_FAILED" in terraform.apply(code=1)
    client = sdk(running, "local")
    assert "failing" not in [each.name for each in client.serving_endpoints.list()]
