"""Monitoring field by field: a workspace as declared, and each edit by hand in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.dashboards import Dashboard, PublishedDashboard
from databricks.sdk.service.dataquality import Monitor
from databricks.sdk.service.files import GetMetadataResponse
from databricks.sdk.service.iam import ObjectPermissions
from databricks.sdk.service.jobs import BaseJob, Job
from databricks.sdk.service.settings import (
    ListNotificationDestinationsResult,
    NotificationDestination,
)
from databricks.sdk.service.sql import AlertV2, EndpointInfo, ListQueryObjectsResponseQuery, Query

from scgpt_databricks.infra import layout, monitoring, settings
from scgpt_databricks.infra.monitoring import lakeview
from scgpt_databricks.infra.settings.monitoring import Profile
from scgpt_databricks.infra.wheel import wheel
from scgpt_databricks.scripts.deploy.verify.monitoring import monitoring_differences

DEV = settings.load("dev", layout.ENVIRONMENTS)
DEV = DEV.model_copy(
    update={
        "monitoring": DEV.monitoring.model_copy(update={"emails": ("ops@example.com",)}),
        "tags": {"project": "scgpt"},
        # Levels are the subject of one test alone.
        "planner": None,
        "deployer": None,
    }
)
NAMES = DEV.names
PROFILE = "0a1b2c3d-0000-0000-0000-00000000000"
TABLE = str(NAMES.inference_table)
ALERT = next(each for each in monitoring.ALERTS if each.key == "error_rate")
REPORT = next(each for each in monitoring.REPORTS if each.key == "kpi")
JOB = next(each for each in monitoring.JOBS if each.key == "daily_error_rate")


@pytest.fixture(autouse=True)
def one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "ALERTS", (ALERT,))
    monkeypatch.setattr(monitoring, "JOBS", (JOB,))
    monkeypatch.setattr(monitoring, "REPORTS", (REPORT,))


def answers() -> dict[str, Any]:
    """Return the API's answers after a deploy; a platform adds to dashboards."""
    dashboard = json.loads(
        lakeview.serialized(monitoring.TILES, title=NAMES.watched("requests"), table=TABLE)
    )
    return {
        "destination": {"email": {"addresses": ["ops@example.com"]}},
        "alert": {
            "id": "a-1",
            "display_name": NAMES.watched(ALERT.title),
            "custom_summary": NAMES.watched(ALERT.title),
            "custom_description": ALERT.summary,
            "query_text": monitoring.query(ALERT.sql, table=TABLE, **ALERT.values),
            "warehouse_id": "w-1",
            "parent_path": "/Workspace/Shared",
            "evaluation": {
                "source": {"name": ALERT.column, "aggregation": "MAX"},
                "empty_result_state": "OK",
                "comparison_operator": "GREATER_THAN",
                "threshold": {"value": {"double_value": 0.05}},
                "notification": {
                    "notify_on_ok": True,
                    "retrigger_seconds": 3600,
                    "subscriptions": [{"destination_id": "d-1"}],
                },
            },
            "schedule": {"quartz_cron_schedule": DEV.monitoring.schedule, "timezone_id": "UTC"},
        },
        "query": {
            "id": "q-1",
            "display_name": NAMES.watched(REPORT.title),
            "query_text": monitoring.asked(REPORT, table=TABLE, endpoint=NAMES.endpoint),
            "warehouse_id": "w-1",
            "parent_path": "/Workspace/Shared",
        },
        "warehouse": {
            "id": "w-1",
            "name": NAMES.warehouse,
            "cluster_size": DEV.monitoring.warehouse_size,
            "max_num_clusters": 1,
            "auto_stop_mins": 10,
            "enable_serverless_compute": True,
            "warehouse_type": "PRO",
            "tags": {"custom_tags": [{"key": "project", "value": "scgpt"}]},
        },
        "published": {"embed_credentials": True, "warehouse_id": "w-1"},
        "folder": "/Shared",
        "wheel": len(wheel().content),
        "dashboard": dashboard | {"uiSettings": {"theme": {}}},
        "job": {
            "job_id": 1,
            "settings": {
                "tasks": [
                    {
                        "task_key": JOB.key,
                        "environment_key": "wheel",
                        "python_wheel_task": {
                            "package_name": "scgpt-jobs",
                            "entry_point": JOB.entry_point,
                            "parameters": [
                                "--table", TABLE, "--warehouse", "w-1", *JOB.parameters
                            ],
                        },
                    }
                ],
                "environments": [
                    {
                        "environment_key": "wheel",
                        "spec": {
                            "environment_version": "4",
                            "dependencies": [
                                NAMES.wheel_path(wheel().file_name, wheel().sha256)
                            ]
                        },
                    }
                ],
                "schedule": {"quartz_cron_expression": JOB.schedule, "timezone_id": "UTC"},
                "email_notifications": {"on_failure": ["ops@example.com"]},
                "queue": {"enabled": True},
                "max_concurrent_runs": 1,
                "timeout_seconds": 3600,
                "tags": {"project": "scgpt"},
            },
        },
    }  # fmt: skip


def workspace(found: dict[str, Any]) -> WorkspaceClient:
    def metadata(path: str) -> GetMetadataResponse:
        if found["wheel"] is None:
            raise NotFound(path)
        return GetMetadataResponse(content_length=found["wheel"])

    def published(_: str) -> PublishedDashboard:
        if found["published"] is None:
            raise NotFound("not published")
        return PublishedDashboard.from_dict(found["published"])

    warehouse = EndpointInfo.from_dict(found["warehouse"])
    job = Job.from_dict(found["job"])
    listed = ListNotificationDestinationsResult(id="d-1", display_name=NAMES.watched("alerts"))
    destination = NotificationDestination.from_dict({"config": found["destination"]})
    board = {
        "dashboard_id": "b-1",
        "display_name": NAMES.watched("requests"),
        "warehouse_id": "w-1",
    }
    content = {"serialized_dashboard": json.dumps(found["dashboard"])}
    whole = Dashboard.from_dict({**board, **content, "parent_path": found["folder"]})
    client = SimpleNamespace(
        warehouses=SimpleNamespace(list=lambda: [warehouse]),
        notification_destinations=SimpleNamespace(
            list=lambda: [listed], get=lambda id_: {"d-1": destination}[id_]
        ),
        alerts_v2=SimpleNamespace(list_alerts=lambda: [AlertV2.from_dict(found["alert"])]),
        queries=SimpleNamespace(
            list=lambda: [ListQueryObjectsResponseQuery.from_dict(found["query"])],
            get=lambda id_: {"q-1": Query.from_dict(found["query"])}[id_],
        ),
        lakeview=SimpleNamespace(
            list=lambda: [Dashboard.from_dict(board)],
            get=lambda id_: {"b-1": whole}[id_],
            get_published=published,
        ),
        jobs=SimpleNamespace(list=lambda **_: [BaseJob(job_id=1)], get=lambda id_: {1: job}[id_]),
        files=SimpleNamespace(get_metadata=metadata),
    )
    return cast(WorkspaceClient, client)


def fields(found: dict[str, Any]) -> list[tuple[str, Any]]:
    differing = monitoring_differences(workspace(found), DEV)
    return [(each.field, each.found) for each in differing]


def test_what_was_declared_is_found() -> None:
    assert fields(answers()) == []


def task(found: dict[str, Any]) -> dict[str, Any]:
    wheel_task: dict[str, Any] = found["job"]["settings"]["tasks"][0]["python_wheel_task"]
    return wheel_task


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        (
            lambda f: f["destination"]["email"].update(addresses=["eve@example.com"]),
            "addresses",
            ["eve@example.com"],
        ),
        (lambda f: f["destination"].pop("email"), "addresses", []),
        (
            lambda f: f["alert"]["evaluation"].update(comparison_operator="LESS_THAN"),
            "operator",
            "LESS_THAN",
        ),
        (
            lambda f: f["alert"]["evaluation"]["notification"].pop("subscriptions"),
            "subscriptions",
            [],
        ),
        (
            lambda f: f["alert"]["evaluation"]["notification"].pop("notify_on_ok"),
            "notify_on_ok",
            False,
        ),
        (
            lambda f: f["alert"]["evaluation"]["notification"].pop("retrigger_seconds"),
            "retrigger_seconds",
            "absent",
        ),
        (
            lambda f: f["alert"]["evaluation"].update(empty_result_state="UNKNOWN"),
            "empty_result_state",
            "UNKNOWN",
        ),
        (lambda f: f["alert"]["evaluation"]["source"].update(name="n"), "column", "n"),
        (lambda f: f["alert"]["evaluation"]["source"].pop("aggregation"), "aggregation", "absent"),
        (lambda f: f["alert"].pop("custom_summary"), "summary", "absent"),
        (lambda f: f["alert"].pop("custom_description"), "description", "absent"),
        (lambda f: f["query"].update(query_text="SELECT 1"), "query", "SELECT 1"),
        (lambda f: f["query"].update(parent_path="/Users/eve"), "folder", "/Users/eve"),
        (lambda f: f["query"].update(warehouse_id="w-2"), "warehouse", "w-2"),
        (lambda f: f["warehouse"].pop("tags"), "tags.project", "absent"),
        (lambda f: f["warehouse"]["tags"]["custom_tags"].append({}), "tags.", ""),
        (lambda f: f["warehouse"].update(auto_stop_mins=0), "auto_stop_mins", 0),
        (lambda f: f["warehouse"].update(max_num_clusters=9), "max_num_clusters", 9),
        (lambda f: f["warehouse"].pop("enable_serverless_compute"), "serverless", False),
        (lambda f: f["warehouse"].update(warehouse_type="CLASSIC"), "type", "CLASSIC"),
        (lambda f: f["published"].update(embed_credentials=False), "embed_credentials", False),
        (lambda f: f["published"].update(warehouse_id="w-2"), "published_warehouse", "w-2"),
        (lambda f: f.update(folder="/Users/eve"), "folder", "/Users/eve"),
        (lambda f: f["alert"].update(parent_path="/Workspace/Users/eve"), "folder", "/Users/eve"),
        (lambda f: f["job"]["settings"]["tasks"][0].update(task_key="t"), "tasks", "t"),
        (lambda f: f["job"]["settings"]["environments"][0].update(environment_key="e"),
         "environments", "e"),
        (lambda f: f.update(wheel=None), "exists", False),
        (lambda f: f.update(wheel=7), "bytes", 7),
        (lambda f: f["job"]["settings"].pop("email_notifications"), "emails.on_failure", []),
        (lambda f: f["job"]["settings"].pop("tags"), "tags.project", "absent"),
        (lambda f: f["job"]["settings"].pop("timeout_seconds"), "timeout_seconds", "absent"),
        (lambda f: f["job"]["settings"].pop("queue"), "queue", False),
        (lambda f: f["job"]["settings"].update(max_concurrent_runs=3), "max_concurrent_runs", 3),
        (lambda f: f["job"]["settings"].update(budget_policy_id="b"), "budget_policy_id", "b"),
        (lambda f: f["job"]["settings"]["environments"][0]["spec"].pop("dependencies"),
         "wheel", "absent"),
        (lambda f: task(f).update(entry_point="e"), "entry_point", "e"),
        (lambda f: task(f).update(package_name="p"), "package", "p"),
        (
            lambda f: f["alert"]["evaluation"]["notification"]["subscriptions"][0].update(
                destination_id="d-2"
            ),
            "subscriptions",
            ["d-2"],
        ),
        (
            lambda f: f["dashboard"]["datasets"][0].update(queryLines=["select 1"]),
            "content",
            "another at datasets.0.queryLines",
        ),
        (lambda f: f["dashboard"]["pages"][0]["layout"].pop(), "content",
         "another at pages.0.layout"),
        (lambda f: task(f).update(parameters=["--hours", "1"]), "parameters", ["--hours", "1"]),
    ],
)  # fmt: skip
def test_each_edit_is_told(
    change: Callable[[dict[str, Any]], object], field: str, told: Any
) -> None:
    found = answers()
    change(found)
    assert fields(found) == [(field, told)]


def test_a_dashboard_that_is_not_published_is_told() -> None:
    assert fields(answers() | {"published": None}) == [
        ("published_warehouse", "absent"),
        ("embed_credentials", "absent"),
    ]


def test_the_platforms_own_monitor_is_looked_up_by_its_table() -> None:
    ids = {"table_id": f"{PROFILE}1", "schema_id": f"{PROFILE}2"}
    watch = DEV.monitoring.model_copy(update={"profile": Profile(**ids)})
    declared = DEV.model_copy(update={"monitoring": watch})
    client = cast(Any, workspace(answers()))
    series = {
        "timestamp_column": "request_time",
        "granularities": ["AGGREGATION_GRANULARITY_1_DAY"],
    }
    config = {
        "output_schema_id": f"{PROFILE}2",
        "warehouse_id": "w-1",
        "skip_builtin_dashboard": True,
        "slicing_exprs": ["served_entity"],
        "time_series": series,
    }
    there = {"object_type": "table", "object_id": f"{PROFILE}1", "data_profiling_config": config}
    client.data_quality = SimpleNamespace(get_monitor=lambda *_: Monitor.from_dict(there))
    (found,) = monitoring_differences(client, declared)
    assert (found.field, found.found) == ("granularities", ["AGGREGATION_GRANULARITY_1_DAY"])

    def gone(*_: str) -> Monitor:
        raise NotFound("no monitor")

    client.data_quality = SimpleNamespace(get_monitor=gone)
    (found,) = monitoring_differences(client, declared)
    assert found.resource == f"profile of table {PROFILE}1"


def test_a_task_that_was_added_is_told() -> None:
    """Whatever it runs: a notebook too is paid for, and runs as the job does."""
    found = answers()
    notebook = {"task_key": "more", "notebook_task": {"notebook_path": "/Users/eve/n"}}
    found["job"]["settings"]["tasks"].append(notebook)
    assert fields(found) == [
        ("tasks", f"{JOB.key}, more"),
        ("environment_keys", "wheel, absent"),
    ]


def test_who_plans_and_who_deploys_hold_their_levels() -> None:
    declared = DEV.model_copy(update={"planner": "p", "deployer": "d@example.com"})
    owner = {"user_name": "d@example.com", "all_permissions": [{"permission_level": "IS_OWNER"}]}
    reader = {
        "service_principal_name": "p",
        "all_permissions": [{"permission_level": "CAN_READ"}],
    }
    lists = {
        ("warehouses", "w-1"): [owner],
        ("alertsv2", "a-1"): [owner, reader],
        ("dashboards", "b-1"): [reader],
        ("queries", "q-1"): [reader],
        ("jobs", "1"): [owner, reader],
    }
    client = cast(Any, workspace(answers()))
    client.permissions = SimpleNamespace(
        get=lambda path, id_: ObjectPermissions.from_dict({"access_control_list": lists[path, id_]})
    )
    wanting = [
        (each.resource.split()[0], each.field, each.declared, each.found)
        for each in monitoring_differences(client, declared)
    ]
    assert wanting == [
        ("warehouse", "permission of p", "CAN_VIEW", "absent"),
        ("dashboard", "permission of d@example.com", "CAN_MANAGE", "absent"),
        ("query", "permission of p", "CAN_RUN", "CAN_READ"),
        ("query", "permission of d@example.com", "CAN_MANAGE", "absent"),
        ("job", "permission of p", "CAN_VIEW", "CAN_READ"),
    ]
