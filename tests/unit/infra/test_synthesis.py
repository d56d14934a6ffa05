"""What every environment synthesises to; the snapshots are where a change is reviewed."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from infra import layout, monitoring, naming, settings
from infra.bindings import App, TerraformStack
from infra.main import build
from infra.release import Manifest
from infra.wheel import ENTRY_POINTS, wheel

from .manifests import canary, champion
from .provider_schema import mistakes

ENVIRONMENTS = ("local", "dev", "staging", "prod")
REMOTE = ("/Volumes/", "/Workspace/", "/Shared/")
"""Where absolute paths lead inside a workspace."""
RELEASES = {"champion": champion, "canary": canary}


@cache
def synthesised(name: str, release: str | None) -> dict[str, Any]:
    """Stack name -> its Terraform JSON, without the CDK's metadata."""
    environment = settings.load(name, layout.ENVIRONMENTS)
    app = App(outdir=str(layout.ROOT / "cdktf.out"))
    build(app, environment, RELEASES[release](environment) if release else None)
    return {
        node.node.id: json.loads(Cdk.synth(node))
        for node in app.node.children
        if isinstance(node, TerraformStack)
    }


def endpoint(name: str, release: str) -> dict[str, Any]:
    stack = synthesised(name, release)[f"{name}-serving"]
    block: dict[str, Any] = stack["resource"]["databricks_model_serving"]["endpoint"]
    return block


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}.{index}")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_snapshot(name: str, release: str, snapshot: SnapshotAssertion) -> None:
    # Without the digest of the wheel, which every change of a job's code changes.
    text = json.dumps(synthesised(name, release)).replace(wheel().sha256, "<sha256>")
    assert json.loads(text) == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_without_a_release_there_is_no_endpoint(name: str) -> None:
    watched = settings.load(name, layout.ENVIRONMENTS).monitoring.enabled
    kinds = ["registry", "monitoring"] if watched else ["registry"]
    assert list(synthesised(name, None)) == [f"{name}-{kind}" for kind in kinds]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_provider_knows_all_of_it(name: str) -> None:
    for stack in synthesised(name, "canary").values():
        assert mistakes(stack) == []


def test_what_the_provider_would_refuse_is_seen() -> None:
    stack = json.loads(json.dumps(synthesised("dev", "canary")["dev-serving"]))
    endpoint = stack["resource"]["databricks_model_serving"]["endpoint"]
    (entity, _) = endpoint["config"]["served_entities"]
    entity["scale_to_zero"] = entity.pop("scale_to_zero_enabled")
    entity["entity_version"] = 9
    del endpoint["name"]
    stack["resource"]["databricks_endpoint"] = {}
    at = "databricks_model_serving.endpoint"
    assert sorted(mistakes(stack)) == [
        "databricks_endpoint: no such resource type",
        f"{at}.config.0.served_entities.0.entity_version: 9 is no string",
        f"{at}.config.0.served_entities.0.scale_to_zero: no such key",
        f"{at}.name: missing",
    ]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_of_the_endpoint_is_lost_on_the_way(name: str, release: str) -> None:
    """The CDK can drop nested keys without a word: compare with the settings, key by key."""
    environment = settings.load(name, layout.ENVIRONMENTS)
    manifest: Manifest = RELEASES[release](environment)
    given, names = environment.endpoint, environment.names
    gateway: dict[str, Any] = {
        "inference_table_config": {
            "catalog_name": environment.catalog,
            "enabled": True,
            "schema_name": environment.schema_,
            "table_name_prefix": environment.gateway.inference_table_prefix,
        },
        "usage_tracking_config": {"enabled": True},
    }
    if environment.gateway.rate_limits:
        gateway["rate_limits"] = [
            {"calls": limit.calls, "key": limit.key, "renewal_period": "minute"}
            for limit in environment.gateway.rate_limits
        ]
    expected = {
        "name": given.name,
        "route_optimized": given.route_optimized,
        "config": {
            "served_entities": [
                {
                    "name": names.served_entity(each.version),
                    "entity_name": names.full_model,
                    "entity_version": str(each.version),
                    "workload_type": environment.workload_type,
                    "workload_size": given.workload_size,
                    "scale_to_zero_enabled": given.scale_to_zero,
                }
                for each in manifest.served
            ],
            "traffic_config": {
                "routes": [
                    {
                        "served_model_name": names.served_entity(each.version),
                        "traffic_percentage": each.traffic,
                    }
                    for each in manifest.served
                ]
            },
        },
        "ai_gateway": gateway,
        "tags": [{"key": key, "value": environment.tags[key]} for key in sorted(environment.tags)],
        "timeouts": {
            "create": f"{given.timeout_minutes}m",
            "update": f"{given.timeout_minutes}m",
        },
    }
    if environment.deletion_protection:
        expected["lifecycle"] = {"prevent_destroy": True}
    assert endpoint(name, release) == expected


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_cannot_be_brought_back_is_protected_outside_local(name: str) -> None:
    stacks = synthesised(name, "champion")
    for stack, kind, logical_id in (
        ("registry", "databricks_schema", "schema"),
        ("registry", "databricks_volume", "volume"),
        ("registry", "databricks_volume", "checkpoints_volume"),
        ("registry", "databricks_registered_model", "model"),
        ("serving", "databricks_model_serving", "endpoint"),
    ):
        block = stacks[f"{name}-{stack}"]["resource"][kind][logical_id]
        protected = block.get("lifecycle", {}).get("prevent_destroy", False)
        assert protected is (name != "local"), logical_id


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_secret_and_nothing_of_this_machine_is_synthesised(name: str) -> None:
    for stack in synthesised(name, "canary").values():
        assert list(stack["terraform"]["backend"]), "the backend is declared"
        for path, value in walk(stack):
            assert not re.search(r"token|secret|password|private_key", path, re.IGNORECASE), path
            if isinstance(value, str):
                assert not Path(value).is_absolute() or value.startswith(REMOTE), path
                assert str(layout.ROOT) not in value, path


def test_local_state_survives_the_removal_of_the_synthesis() -> None:
    for name, stack in synthesised("local", "champion").items():
        folder = layout.ROOT / "cdktf.out" / "stacks" / name
        state = (folder / stack["terraform"]["backend"]["local"]["path"]).resolve()
        assert state == layout.ROOT / ".local" / "state" / f"{name}.tfstate"


def test_constructs_pass_typed_structs_only() -> None:
    """A dict literal in a nested position would lose its underscore keys without a word."""
    sources = [*Path(layout.ROOT, "infra", "constructs").glob("*.py")]
    assert sources
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            assert not isinstance(node, ast.Dict | ast.DictComp), f"{source}:{node.lineno}"


FULL = """
catalog = "lab"
owner = "scgpt-owners"
builder = "00000000-0000-0000-0000-00000000000b"
readers = ["scgpt-scientists"]
[workspace]
host = "https://adb-1.2.azuredatabricks.net"
[endpoint]
size = "xlarge"
provisioned_concurrency = { min = 4, max = 16 }
scale_to_zero = false
route_optimized = true
timeout_minutes = 120
description = "cell embeddings"
budget_policy_id = "8a3f0c1e-0000-4000-8000-00000000b0d9"
email_notifications = { on_update_failure = ["a@example.com"] }
environment = { BATCH = "64", HUB = "{{secrets/scgpt/hub}}" }
[gateway]
rate_limits = [
  { calls = 9, key = "endpoint" },
  { calls = 8 },
  { calls = 7, key = "user_group", principal = "g" },
  { calls = 6, key = "service_principal", principal = "s" },
]
[permissions.users]
"a@example.com" = "CAN_QUERY"
[permissions.service_principals]
s = "CAN_MANAGE"
[monitoring]
emails = ["b@example.com"]
error_rate_threshold = 0.01
pause = true
timezone = "Europe/Zurich"
[tags]
team = "bio"
[state]
backend = "http"
address = "https://state.example.com/scgpt/"
options = { retry_max = 5 }
"""


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
    assert entity["environment_vars"] == {"BATCH": "64", "HUB": "{{secrets/scgpt/hub}}"}
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
    """What comes back without having been configured breaks the resource."""
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


def test_what_is_watched_has_ids_of_its_own() -> None:
    for entries in (monitoring.ALERTS, monitoring.TILES, monitoring.JOBS):
        assert len({entry.key for entry in entries}) == len(entries)
    for alert in monitoring.ALERTS:
        assert alert.threshold in settings.Monitoring.model_fields
    for job in monitoring.JOBS:
        assert job.entry_point in ENTRY_POINTS
