"""Alerts over real inference tables, schedules, and what a restart keeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from scgpt_databricks.local_workspace.core.workspace import Workspace
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving import kit
from tests.unit.local_workspace.serving.conftest import As, Running

WAREHOUSE = "0123456789abcdef"
ERROR_RATE = """
    SELECT count_if(status_code >= 400) / count(*) AS rate
    FROM main.scgpt.live_payload WHERE request_time > now() - INTERVAL 1 HOUR
"""


def _alert(client: TestClient, query: str, cron: str = "0 0 0 1 1 ?", **more: Any) -> str:
    body = {
        "display_name": "errors",
        "query_text": query,
        "warehouse_id": WAREHOUSE,
        "evaluation": {
            "source": {"name": "rate"},
            "comparison_operator": "GREATER_THAN",
            "threshold": {"value": {"double_value": 0.05}},
            "notification": {"subscriptions": [{"user_email": "on-call@lab.org"}]},
        },
        "schedule": {"quartz_cron_schedule": cron, "timezone_id": "UTC", **more},
    }
    answer = client.post("/api/2.0/alerts", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def _evaluate(client: TestClient, alert: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post(f"/_local/alerts/{alert}/evaluate").json()
    return found


def test_an_alert_reads_the_inference_table(admin: TestClient) -> None:
    table = {"catalog_name": "main", "schema_name": "scgpt", "table_name_prefix": "live"}
    kit.create(admin, ai_gateway={"inference_table_config": {"enabled": True, **table}})
    alert = _alert(admin, ERROR_RATE)
    assert kit.query(admin).status_code == 200
    assert _evaluate(admin, alert) | {"rows": 0} == {
        "state": "OK",
        "value": 0.0,
        "rows": 0,
        "notified": [],
    }
    assert kit.query(admin, {"bad": True}).status_code == 400
    found = _evaluate(admin, alert)
    assert (found["state"], found["value"]) == ("TRIGGERED", 0.5)
    (mail,) = admin.get("/_local/outbox").json()["messages"]
    assert mail["subject"] == 'Alert "errors" changed status to TRIGGERED'
    assert "Value: 0.5" in mail["text"]


def test_an_alert_sees_what_its_principal_sees(as_: As, admin: TestClient) -> None:
    table = {"catalog_name": "main", "schema_name": "scgpt", "table_name_prefix": "live"}
    kit.create(admin, ai_gateway={"inference_table_config": {"enabled": True, **table}})
    found = _evaluate(admin, _alert(as_("reader"), ERROR_RATE))
    assert found["state"] == "ERROR"
    assert "INSUFFICIENT_PERMISSIONS" in found["error"]


def test_schedules_follow_the_clock_of_the_workspace(
    admin: TestClient, workspace: Workspace
) -> None:
    """Due, paused and later ones; the clock moves over midnight of the first of a month."""
    due = _alert(admin, "SELECT 1 AS rate", "0 0 0 1 * ?")
    paused = _alert(admin, "SELECT 1 AS rate", "0 0 0 1 * ?", pause_status="PAUSED")
    later = _alert(admin, "SELECT 1 AS rate", "0 0 0 1 * ? 2099")
    job = {"name": "j", "schedule": {"quartz_cron_expression": "0 0 0 1 * ?", "timezone_id": "UTC"}}
    job_id = admin.post("/api/2.2/jobs/create", json=job).json()["job_id"]
    target = datetime(2030, 3, 1, 0, 0, 1, tzinfo=UTC).timestamp() * 1000
    offset = int(target - time.time() * 1000)
    assert admin.put("/_local/clock", json={"offset_ms": offset}).status_code == 200

    def state(alert: str) -> str:
        return str(admin.get(f"/api/2.0/alerts/{alert}").json()["evaluation"]["state"])

    deadline = time.monotonic() + 60
    runs: list[dict[str, Any]] = []
    while (state(due) == "UNKNOWN" or not runs) and time.monotonic() < deadline:
        time.sleep(0.1)
        runs = admin.get("/api/2.2/jobs/runs/list", params={"job_id": job_id}).json()["runs"]
    assert [state(alert) for alert in (due, paused, later)] == ["TRIGGERED", "UNKNOWN", "UNKNOWN"]
    assert [run["trigger"] for run in runs] == ["PERIODIC"]


def test_all_of_it_survives_a_restart(app: Running, workspace: Workspace) -> None:
    admin = app.client("admin")
    warehouse = admin.post("/api/2.0/sql/warehouses", json={"name": "w"}).json()["id"]
    admin.post(f"/api/2.0/sql/warehouses/{warehouse}/stop")
    assert admin.delete(f"/api/2.0/sql/warehouses/{WAREHOUSE}").status_code == 200
    mail = {"display_name": "m", "config": {"email": {"addresses": ["a@b.org"]}}}
    destination = admin.post("/api/2.0/notification-destinations", json=mail).json()["id"]
    board = {"display_name": "d", "parent_path": "/Shared"}
    dashboard = admin.post("/api/2.0/lakeview/dashboards", json=board).json()["dashboard_id"]
    job = admin.post("/api/2.2/jobs/create", json={"name": "j"}).json()["job_id"]
    reads = [
        f"/api/2.0/sql/warehouses/{warehouse}",
        "/api/2.0/sql/warehouses",
        f"/api/2.0/notification-destinations/{destination}",
        f"/api/2.0/lakeview/dashboards/{dashboard}",
        f"/api/2.2/jobs/get?job_id={job}",
    ]
    before = [admin.get(read).json() for read in reads]
    assert [len(answer.get("warehouses", "-")) for answer in before] == [1] * 5
    app.restart()
    admin = app.client("admin")
    assert [admin.get(read).json() for read in reads] == before


def test_an_interrupted_run_is_an_internal_error(app: Running, workspace: Workspace) -> None:
    admin = app.client("admin")
    package = workspace.files / "Volumes/main/scgpt/v/slow-1-py3-none-any.whl"
    volume = {"catalog_name": "main", "schema_name": "scgpt", "name": "v", "volume_type": "MANAGED"}
    assert admin.post("/api/2.1/unity-catalog/volumes", json=volume).status_code == 200
    package.write_bytes(kit.wheel("slow", "import time\ndef main(): time.sleep(600)\n"))
    spec = {"dependencies": [f"/Volumes/main/scgpt/v/{package.name}"], "environment_version": "2"}
    wheel = {"package_name": "slow", "entry_point": "main"}
    settings = {
        "name": "slow",
        "tasks": [{"task_key": "t", "environment_key": "e", "python_wheel_task": wheel}],
        "environments": [{"environment_key": "e", "spec": spec}],
    }
    job = admin.post("/api/2.2/jobs/create", json=settings).json()["job_id"]
    run = admin.post("/api/2.2/jobs/run-now", json={"job_id": job}).json()["run_id"]
    deadline = time.monotonic() + 60
    while not list((workspace.folder / "runs").glob("*/output.log")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    app.restart()
    found = app.client("admin").get(f"/api/2.2/jobs/runs/get?run_id={run}").json()
    for state in (found["state"], found["tasks"][0]["state"]):
        assert (state["life_cycle_state"], state["result_state"]) == ("INTERNAL_ERROR", "FAILED")
        assert "was stopped" in state["state_message"]


def test_reading_takes_the_lowest_level(admin: TestClient, as_: As) -> None:
    """Planning takes a level on each object; below it there is neither object nor list."""
    reader, lake = as_("reader"), "/api/2.0/lakeview/dashboards"
    board = {"display_name": "d", "parent_path": "/Shared", "serialized_dashboard": "{}"}
    board_id = admin.post(lake, json=board).json()["dashboard_id"]
    warehouse_id = admin.post("/api/2.0/sql/warehouses", json={"name": "w"}).json()["id"]
    job_id = admin.post("/api/2.2/jobs/create", json={"name": "j"}).json()["job_id"]
    alert_id = _alert(admin, "SELECT 0 AS rate")
    for path, listed, level in (
        (f"/api/2.0/alerts/{alert_id}", f"alertsv2/{alert_id}", "CAN_READ"),
        (f"{lake}/{board_id}", f"dashboards/{board_id}", "CAN_READ"),
        (f"/api/2.2/jobs/get?job_id={job_id}", f"jobs/{job_id}", "CAN_VIEW"),
        (f"/api/2.0/sql/warehouses/{warehouse_id}", f"sql/warehouses/{warehouse_id}", "CAN_VIEW"),
    ):
        permissions = f"/api/2.0/permissions/{listed}"
        assert reader.get(path).status_code == reader.get(permissions).status_code == 403
        entry = {"user_name": "reader@local.test", "permission_level": level}
        answer = admin.put(permissions, json={"access_control_list": [entry]})
        assert answer.status_code == 200, answer.text
        assert reader.get(path).status_code == reader.get(permissions).status_code == 200
        assert reader.put(permissions, json={"access_control_list": []}).status_code == 403


def test_permissions_of_a_warehouse_and_a_job(admin: TestClient, as_: As) -> None:
    reader, warehouses = as_("reader"), "/api/2.0/sql/warehouses"
    warehouse = admin.post(warehouses, json={"name": "w"}).json()["id"]
    path = f"/api/2.0/permissions/warehouses/{warehouse}"
    assert reader.get(path).status_code == 403
    entry = {"user_name": "reader@local.test", "permission_level": "CAN_USE"}
    answer = admin.put(path, json={"access_control_list": [entry]})
    assert answer.status_code == 200, answer.text
    levels = {
        acl["display_name"]: acl["all_permissions"][0]["permission_level"]
        for acl in answer.json()["access_control_list"]
    }
    assert levels == {
        "admin@local.test": "IS_OWNER",
        "reader@local.test": "CAN_USE",
        "admins": "CAN_MANAGE",
    }
    assert reader.get(f"{warehouses}/{warehouse}").status_code == 200
    assert reader.delete(f"{warehouses}/{warehouse}").status_code == 403
    admin.put(path, json={"access_control_list": []})
    assert reader.get(f"{warehouses}/{warehouse}").status_code == 403

    job = admin.post("/api/2.2/jobs/create", json={"name": "j"}).json()["job_id"]
    path = f"/api/2.0/permissions/jobs/{job}"
    given = [{"group_name": "scientists", "permission_level": "CAN_VIEW"}]
    assert admin.patch(path, json={"access_control_list": given}).json()["object_type"] == "job"
    assert reader.get(f"/api/2.2/jobs/get?job_id={job}").status_code == 200
    assert reader.post("/api/2.2/jobs/run-now", json={"job_id": job}).status_code == 403
    owner = [{"user_name": "reader@local.test", "permission_level": "IS_OWNER"}]
    admin.put(path, json={"access_control_list": owner})
    found = reader.get(f"/api/2.2/jobs/get?job_id={job}").json()
    assert found["creator_user_name"] == "admin@local.test"
    assert found["run_as_user_name"] == "reader@local.test"
    away = [{"user_name": "admin@local.test", "permission_level": "IS_OWNER"}]
    assert reader.put(path, json={"access_control_list": owner}).status_code == 200
    refused = reader.put(path, json={"access_control_list": away})  # it would run as admin
    assert (refused.status_code, "Only an admin" in refused.json()["message"]) == (403, True)
    wrong = [{"group_name": "nobody", "permission_level": "CAN_VIEW"}]
    assert admin.put(path, json={"access_control_list": wrong}).status_code == 404
