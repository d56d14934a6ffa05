"""Every environment synthesises to its snapshot; a change is reviewed there."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from scgpt_databricks.infra import bindings, layout, monitoring, settings
from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.wheel import ENTRY_POINTS, wheel
from tests.unit.infra.provider_schema import mistakes
from tests.unit.infra.synthesis import ENVIRONMENTS, RELEASES, endpoint, synthesised

REMOTE = ("/Volumes/", "/Workspace/", "/Shared/")
"""Absolute paths inside a workspace begin so."""


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
    # All have a GPU type; the local workspace has no GPU.
    asked = {"environment_vars": {"SCGPT_EXPECTS_GPU": "true"}}
    variables = {} if environment.is_local else asked
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
                    **variables,
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


def test_constructs_make_resources_by_declare_alone() -> None:
    """A dict in a list would lose its underscore keys without a word; `declare` makes structs."""
    made = {name for name, each in vars(bindings).items() if _is_resource(each)}
    assert {"Job", "ModelServing"} <= made
    made -= {"WorkspaceFile"}  # two texts, and the id that the CDK gave it
    for source in Path(layout.ROOT, "infra", "constructs").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in made, f"{source}:{node.lineno}"


def _is_resource(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, bindings.TerraformResource)


def test_blocks_become_structs_however_deep() -> None:
    task = {"task_key": "a", "library": [{"pypi": {"package": "torch"}}]}
    (found,) = bindings.typed(bindings.Job, {"task": [task]})["task"]
    assert found.library[0].pypi.package == "torch"


@pytest.mark.parametrize(
    "fields",
    [
        {"new_field": 1},
        {"task": [{"task_key": "a", "new_field": 1}]},
        {"task": [{"task_key": "a", "library": [{"new_block": {"a_b": 1}}]}]},
    ],
)
def test_a_field_that_the_provider_does_not_have_is_refused(fields: dict[str, Any]) -> None:
    stack = bindings.TerraformStack(bindings.App(), "lab")
    with pytest.raises(TypeError, match="new_"):
        bindings.declare(bindings.Job, stack, "job", fields)


def test_what_is_watched_has_ids_of_its_own() -> None:
    for entries in (monitoring.ALERTS, monitoring.TILES, monitoring.JOBS):
        assert len({entry.key for entry in entries}) == len(entries)
    for alert in monitoring.ALERTS:
        assert alert.threshold in settings.Monitoring.model_fields
    for job in monitoring.JOBS:
        assert job.entry_point in ENTRY_POINTS
