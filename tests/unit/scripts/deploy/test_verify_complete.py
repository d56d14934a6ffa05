"""Nothing that is declared goes unseen: each attribute of each resource is changed by hand.

The table says of every attribute that the stacks synthesise which difference `verify` then tells,
or why there can be none. An attribute that is declared tomorrow has to get its line.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra.release import Manifest
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.scripts.deploy.verify import differences
from tests.unit.scripts.deploy.declared_workspace import ALL, BY_SIZE, Blocks, declared, workspace


@dataclass(frozen=True)
class Never:
    """Why there is no difference to tell."""

    reason: str


TERRAFORM = Never("Terraform's own: it is not sent")
ONE_VALUE = Never("the platform knows no other value")
OBJECT = Never("an access list is asked for by the object that it is of")
NOT_GIVEN_BACK = Never("the platform does not give plain values of variables back")

MISSING = "exists"  # what is found by a name is not there any more

TABLE: dict[str, dict[str, str | Never]] = {
    "databricks_schema": {
        "catalog_name": MISSING,
        "name": MISSING,
        "comment": "comment",
        "force_destroy": TERRAFORM,
        "lifecycle.prevent_destroy": TERRAFORM,
    },
    "databricks_volume": {
        "catalog_name": MISSING,
        "schema_name": MISSING,
        "name": MISSING,
        "comment": "comment",
        "volume_type": "type",
        "depends_on": TERRAFORM,
        "lifecycle.prevent_destroy": TERRAFORM,
    },
    "databricks_registered_model": {
        "catalog_name": MISSING,
        "schema_name": MISSING,
        "name": MISSING,
        "comment": "comment",
        "depends_on": TERRAFORM,
        "lifecycle.prevent_destroy": TERRAFORM,
    },
    "databricks_grant": {
        "schema": "grant to",
        "model": "grant to",
        "volume": "grant to",
        "principal": "grant to",
        "privileges": "grant to",
        "depends_on": TERRAFORM,
    },
    "databricks_mlflow_experiment": {
        "name": MISSING,
        "lifecycle.prevent_destroy": TERRAFORM,
    },
    "databricks_permissions": {
        "access_control.user_name": "permission of",
        "access_control.service_principal_name": "permission of",
        "access_control.permission_level": "permission of",
        "serving_endpoint_id": OBJECT,
        "sql_endpoint_id": OBJECT,
        "alert_v2_id": OBJECT,
        "dashboard_id": OBJECT,
        "sql_query_id": OBJECT,
        "job_id": OBJECT,
        "experiment_id": OBJECT,
    },
    "databricks_model_serving": {
        "name": MISSING,
        "description": "description",
        "route_optimized": "route_optimized",
        "budget_policy_id": "budget_policy_id",
        "email_notifications.on_update_failure": "email_notifications.on_update_failure",
        "email_notifications.on_update_success": "email_notifications.on_update_success",
        "tags.key": "tags.team",
        "tags.value": "tags.team",
        "config.served_entities.name": "scgpt_gene_embeddings-",
        "config.served_entities.entity_name": ".entity_name",
        "config.served_entities.entity_version": ".entity_version",
        "config.served_entities.workload_type": ".workload_type",
        "config.served_entities.workload_size": ".workload_size",
        "config.served_entities.min_provisioned_concurrency": ".min_provisioned_concurrency",
        "config.served_entities.max_provisioned_concurrency": ".max_provisioned_concurrency",
        "config.served_entities.scale_to_zero_enabled": ".scale_to_zero",
        "config.served_entities.environment_vars.HUB": ".environment.HUB",
        "config.served_entities.environment_vars.BATCH": NOT_GIVEN_BACK,
        "config.served_entities.environment_vars.SCGPT_EXPECTS_GPU": NOT_GIVEN_BACK,
        "config.traffic_config.routes.served_model_name": ".traffic",
        "config.traffic_config.routes.traffic_percentage": ".traffic",
        "ai_gateway.inference_table_config.enabled": "inference_table",
        "ai_gateway.inference_table_config.catalog_name": "inference_table",
        "ai_gateway.inference_table_config.schema_name": "inference_table",
        "ai_gateway.inference_table_config.table_name_prefix": "inference_table",
        "ai_gateway.usage_tracking_config.enabled": "usage_tracking",
        "ai_gateway.rate_limits.calls": "rate_limits.",
        "ai_gateway.rate_limits.key": "rate_limits.",
        "ai_gateway.rate_limits.principal": "rate_limits.",
        "ai_gateway.rate_limits.renewal_period": ONE_VALUE,
        "timeouts.create": TERRAFORM,
        "timeouts.update": TERRAFORM,
        "lifecycle.prevent_destroy": TERRAFORM,
    },
    "databricks_sql_endpoint": {
        "name": MISSING,
        "cluster_size": "cluster_size",
        "max_num_clusters": "max_num_clusters",
        "auto_stop_mins": "auto_stop_mins",
        "enable_serverless_compute": "serverless",
        "warehouse_type": "type",
        "tags.custom_tags.key": "tags.team",
        "tags.custom_tags.value": "tags.team",
    },
    "databricks_notification_destination": {
        "display_name": MISSING,
        "config.email.addresses": "addresses",
    },
    "databricks_alert_v2": {
        "display_name": MISSING,
        "parent_path": "folder",
        "warehouse_id": "warehouse",
        "custom_summary": "summary",
        "custom_description": "description",
        "query_text": "query",
        "evaluation.source.name": "column",
        "evaluation.source.aggregation": "aggregation",
        "evaluation.comparison_operator": "operator",
        "evaluation.threshold.value.double_value": "threshold",
        "evaluation.empty_result_state": "empty_result_state",
        "evaluation.notification.notify_on_ok": "notify_on_ok",
        "evaluation.notification.retrigger_seconds": "retrigger_seconds",
        "evaluation.notification.subscriptions.destination_id": "subscriptions",
        "schedule.quartz_cron_schedule": "schedule",
        "schedule.timezone_id": "timezone",
        "schedule.pause_status": "pause_status",
    },
    "databricks_dashboard": {
        "display_name": MISSING,
        "parent_path": "folder",
        "warehouse_id": "published_warehouse",
        "embed_credentials": "embed_credentials",
        "serialized_dashboard": "content",
    },
    "databricks_query": {
        "display_name": MISSING,
        "parent_path": "folder",
        "warehouse_id": "warehouse",
        "query_text": "query",
    },
    "databricks_job": {
        "name": MISSING,
        "task.task_key": "tasks",
        "task.environment_key": "environment_keys",
        "task.python_wheel_task.package_name": "package",
        "task.python_wheel_task.entry_point": "entry_point",
        "task.python_wheel_task.parameters": "parameters",
        "environment.environment_key": "environments",
        "environment.spec.environment_version": "environment_version",
        "environment.spec.dependencies": "wheel",
        "schedule.quartz_cron_expression": "schedule",
        "schedule.timezone_id": "timezone",
        "schedule.pause_status": "pause_status",
        "email_notifications.on_failure": "emails.on_failure",
        "queue.enabled": "queue",
        "max_concurrent_runs": "max_concurrent_runs",
        "timeout_seconds": "timeout_seconds",
        "budget_policy_id": "budget_policy_id",
        "tags.team": "tags.team",
    },
}

OTHER = {
    "GREATER_THAN": "LESS_THAN",
    "MAX": "MIN",
    "OK": "UNKNOWN",
    "PAUSED": "UNPAUSED",
    "PRO": "CLASSIC",
    "MANAGED": "EXTERNAL",
}
"""Another one of a few values that clients know."""

Place = tuple[str | int, ...]


def places(block: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the places of a block that hold a value; a list of plain values is one."""
    if isinstance(block, dict):
        for key, value in block.items():
            yield from places(value, (*place, key))
    elif isinstance(block, list) and block and isinstance(block[0], dict):
        for index, value in enumerate(block):
            yield from places(value, (*place, index))
    else:
        yield place


def attribute(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


def by_hand(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return []
    if value.startswith('{"'):
        return "{}"
    return OTHER.get(value, f"{value}-by-hand")


def changed(blocks: Blocks, kind: str, logical_id: str, place: Place) -> Blocks:
    found = copy.deepcopy(blocks)
    holder: Any = found[kind][logical_id]
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = by_hand(holder[place[-1]])
    return found


Declared = tuple[Settings, Manifest, Blocks]


@pytest.fixture(scope="module", params=[ALL, BY_SIZE], ids=["all", "by size"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Declared:
    return declared(request.param, tmp_path_factory.mktemp("lab"))


def test_as_declared_there_is_none(lab: Declared) -> None:
    environment, manifest, blocks = lab
    assert differences(workspace(blocks), environment, manifest) == []


@pytest.mark.parametrize("kind", TABLE)
def test_each_change_is_told(lab: Declared, kind: str) -> None:
    environment, manifest, blocks = lab
    for logical_id, block in blocks[kind].items():
        for place in places(block):
            expected = TABLE[kind].get(attribute(place), Never("no line yet"))
            if isinstance(expected, Never):
                continue
            client = workspace(changed(blocks, kind, logical_id, place))
            told = [each.field for each in differences(client, environment, manifest)]
            assert any(expected in field for field in told), f"{logical_id}: {place}: {told}"


def test_every_attribute_has_its_line(tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for text in (ALL, BY_SIZE):
        for kind, blocks in declared(text, tmp_path)[2].items():
            for block in blocks.values():
                found.setdefault(kind, set()).update(map(attribute, places(block)))
    lines = {kind: sorted(attributes) for kind, attributes in TABLE.items()}
    declared_ones = {kind: sorted(attributes) for kind, attributes in found.items()}
    assert lines == declared_ones
