"""Everything that an environment's file can declare, in the Terraform JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk

from scgpt_databricks.infra import monitoring, naming, settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.wheel import ENTRY_POINTS, wheel
from tests.unit.infra.manifests import champion
from tests.unit.infra.provider_schema import mistakes
from tests.unit.infra.synthesis import FULL


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, Any]:
    """Type -> logical id -> block, of an environment that declares all there is."""
    (tmp_path / "lab.toml").write_text(FULL)
    environment = settings.load("lab", tmp_path)
    app = App(outdir=str(tmp_path / "out"))
    build(app, environment, champion(environment))
    stacks = [json.loads(Cdk.synth(n)) for n in app.node.children if isinstance(n, TerraformStack)]
    assert [mistake for stack in stacks for mistake in mistakes(stack)] == []
    found = {kind: blocks for stack in stacks for kind, blocks in stack["resource"].items()}
    return {**found, "backends": [stack["terraform"]["backend"] for stack in stacks]}


def test_the_endpoint_has_everything_that_can_be_declared(everything: dict[str, Any]) -> None:
    block = everything["databricks_model_serving"]["endpoint"]
    (entity,) = block["config"]["served_entities"]
    assert entity["workload_type"] == "GPU_LARGE_2"
    assert "workload_size" not in entity
    assert (entity["min_provisioned_concurrency"], entity["max_provisioned_concurrency"]) == (4, 16)
    given = {"BATCH": "64", "HUB": "{{secrets/scgpt/hub}}"}
    assert entity["environment_vars"] == {**given, "SCGPT_EXPECTS_GPU": "true"}
    assert not entity["scale_to_zero_enabled"]
    assert block["ai_gateway"]["rate_limits"] == [
        {"calls": 9, "key": "endpoint", "renewal_period": "minute"},
        {"calls": 8, "key": "user", "renewal_period": "minute"},
        {"calls": 7, "key": "user_group", "principal": "g", "renewal_period": "minute"},
        {"calls": 6, "key": "service_principal", "principal": "s", "renewal_period": "minute"},
    ]
    given = {
        "route_optimized": True,
        "description": "cell embeddings",
        "budget_policy_id": "8a3f0c1e-0000-4000-8000-00000000b0d9",
        "email_notifications": {"on_update_failure": ["a@example.com"]},
        "tags": [{"key": "team", "value": "bio"}],
        "timeouts": {"create": "120m", "update": "120m"},
        "lifecycle": {"prevent_destroy": True},
    }
    assert {key: block[key] for key in given} == given
    assert everything["databricks_permissions"]["endpoint_permissions"]["access_control"] == [
        {"user_name": "a@example.com", "permission_level": "CAN_QUERY"},
        {"service_principal_name": "s", "permission_level": "CAN_MANAGE"},
    ]


def test_an_adopted_endpoint_keeps_its_names_and_gets_no_gateway(tmp_path: Path) -> None:
    bare = 'declared = false\ninference_table_prefix = ""\nusage_tracking = false'
    head, _, rest = FULL.partition("[gateway]")
    text = f"{head}[gateway]\n{bare}\n{rest[rest.index('[permissions') :]}"
    text = text.replace("[monitoring]", "[monitoring]\nenabled = false")
    (tmp_path / "lab.toml").write_text(text)
    environment = settings.load("lab", tmp_path)
    released = champion(environment)
    named = released.champion.model_copy(update={"name": "current"})
    app = App(outdir=str(tmp_path / "out"))
    build(app, environment, released.model_copy(update={"served": (named,)}))
    stacks = [json.loads(Cdk.synth(n)) for n in app.node.children if isinstance(n, TerraformStack)]
    (block,) = (
        stack["resource"]["databricks_model_serving"]["endpoint"]
        for stack in stacks
        if "databricks_model_serving" in stack.get("resource", {})
    )
    assert "ai_gateway" not in block
    assert [entity["name"] for entity in block["config"]["served_entities"]] == ["current"]
    routes = block["config"]["traffic_config"]["routes"]
    assert [route["served_model_name"] for route in routes] == ["current"]


def test_roles_become_grants_one_by_one(everything: dict[str, Any]) -> None:
    found = {
        (next(v for k, v in g.items() if k in ("schema", "model", "volume")), g["principal"]): g[
            "privileges"
        ]
        for g in everything["databricks_grant"].values()
    }
    builder, schema = "00000000-0000-0000-0000-00000000000b", "lab.scgpt"
    model = "lab.scgpt.scgpt_gene_embeddings"
    assert found == {
        (schema, "scgpt-owners"): ["ALL_PRIVILEGES", "MANAGE"],
        (schema, builder): ["USE_SCHEMA"],
        (schema, "scgpt-scientists"): ["USE_SCHEMA"],
        (model, builder): ["APPLY_TAG", "CREATE_MODEL_VERSION", "EXECUTE"],
        (model, "scgpt-scientists"): ["EXECUTE"],
        (f"{schema}.artifacts", builder): ["READ_VOLUME", "WRITE_VOLUME"],
        (f"{schema}.artifacts", "scgpt-scientists"): ["READ_VOLUME"],
        (f"{schema}.checkpoints", builder): ["READ_VOLUME"],
    }
    assert "tags" not in everything["databricks_mlflow_experiment"]["experiment"]


def test_the_alert_leaves_nothing_to_the_workspaces_defaults(everything: dict[str, Any]) -> None:
    """A value that comes back without having been configured breaks the resource."""
    alert = everything["databricks_alert_v2"]["alert_error_rate"]
    assert alert["parent_path"].startswith("/Workspace/")
    assert alert["schedule"] == {
        "pause_status": "PAUSED",
        "quartz_cron_schedule": "0 5 * * * ?",
        "timezone_id": "Europe/Zurich",
    }
    evaluation = alert["evaluation"]
    assert evaluation["threshold"] == {"value": {"double_value": 0.01}}
    assert evaluation["source"] == {"name": "error_rate", "aggregation": "MAX"}
    assert evaluation["notification"] == {
        "notify_on_ok": True,
        "retrigger_seconds": 3600,
        "subscriptions": [
            {"destination_id": "${databricks_notification_destination.destination.id}"}
        ],
    }
    assert "FROM lab.scgpt.scgpt_inference_payload" in alert["query_text"]


def test_the_job_runs_the_wheel_of_these_sources(everything: dict[str, Any]) -> None:
    job = everything["databricks_job"]["job_daily_error_rate"]
    built = wheel()
    assert job["environment"][0]["spec"]["dependencies"] == [
        f"/Volumes/lab/scgpt/artifacts/wheels/{built.sha256}/{built.file_name}"
    ]
    task = job["task"][0]["python_wheel_task"]
    assert task["package_name"] == built.package
    assert task["entry_point"] in ENTRY_POINTS
    assert job["budget_policy_id"] == "8a3f0c1e-0000-4000-8000-00000000b0d9"


def test_the_dashboard_charts_what_its_queries_give(everything: dict[str, Any]) -> None:
    dashboard = json.loads(everything["databricks_dashboard"]["dashboard"]["serialized_dashboard"])
    datasets = {d["name"]: "".join(d["queryLines"]) for d in dashboard["datasets"]}
    (page,) = dashboard["pages"]
    places = set()
    for placed in page["layout"]:
        widget, position = placed["widget"], placed["position"]
        asked = widget["queries"][0]["query"]
        sql = datasets[asked["datasetName"]]
        for field in asked["fields"]:
            assert re.search(rf"\b{field['name']}\b", sql)
        axes = widget["spec"]["encodings"].values()
        assert {axis["fieldName"] for axis in axes} == {f["name"] for f in asked["fields"]}
        places.add((position["x"], position["y"]))
    assert len(places) == len(page["layout"]) == len(monitoring.TILES)


def test_state_behind_http_has_an_address_per_stack_and_no_credentials(
    everything: dict[str, Any],
) -> None:
    for kind, backend in zip(naming.STACKS, everything["backends"], strict=True):
        address = f"https://state.example.com/scgpt/lab-{kind}"
        assert backend == {
            "http": {
                "address": address,
                "lock_address": f"{address}/lock",
                "lock_method": "POST",
                "unlock_address": f"{address}/lock",
                "unlock_method": "DELETE",
                "retry_max": 5,
            }
        }


def test_arguments_of_a_backend_are_passed_on_as_they_are(tmp_path: Path) -> None:
    options = {"assume_role": {"role_arn": "arn"}, "shared_credentials_files": ["a"], "retries": 3}
    given = (
        'backend = "s3"\nbucket = "b"\nregion = "r"\n'
        'options = { assume_role = { role_arn = "arn" }, shared_credentials_files = ["a"], '
        "retries = 3 }\n"
    )
    (tmp_path / "lab.toml").write_text(FULL[: FULL.index("backend = ")] + given)
    app = App(outdir=str(tmp_path / "out"))
    build(app, settings.load("lab", tmp_path), None)
    stack = app.node.find_child("lab-registry")
    assert isinstance(stack, TerraformStack)
    backend = json.loads(Cdk.synth(stack))["terraform"]["backend"]["s3"]
    assert backend.items() >= options.items()
    assert backend["key"] == "lab-registry.tfstate"
    assert (backend["encrypt"], backend["use_lockfile"]) == (True, True)


def test_a_warehouse_that_exists_is_used(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        FULL.replace("pause = true", 'pause = true\nwarehouse_id = "0123456789abcdef"')
    )
    environment = settings.load("lab", tmp_path)
    app = App(outdir=str(tmp_path / "out"))
    build(app, environment, None)
    stack = app.node.find_child("lab-monitoring")
    assert isinstance(stack, TerraformStack)
    resources = json.loads(Cdk.synth(stack))["resource"]
    assert "databricks_sql_endpoint" not in resources
    alert = resources["databricks_alert_v2"]["alert_error_rate"]
    assert alert["warehouse_id"] == "0123456789abcdef"
