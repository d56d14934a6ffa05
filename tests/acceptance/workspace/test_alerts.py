"""SQL alerts through the unmodified SDK: definition, evaluation, notification."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service.settings import Config, GenericWebhookConfig
from databricks.sdk.service.sql import (
    AlertEvaluationState,
    AlertLifecycleState,
    AlertV2,
    AlertV2Evaluation,
    AlertV2Notification,
    AlertV2Operand,
    AlertV2OperandColumn,
    AlertV2OperandValue,
    AlertV2RunAs,
    AlertV2Subscription,
    ComparisonOperator,
    CronSchedule,
    SchedulePauseStatus,
)

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import call, sdk

pytestmark = pytest.mark.acceptance

WAREHOUSE = "0123456789abcdef"
MASK = (
    "custom_description,custom_summary,display_name,evaluation,parent_path,query_text,run_as,"
    "run_as_user_name,schedule,warehouse_id"
)


@pytest.fixture
def admin(running: Info) -> WorkspaceClient:
    return sdk(running)


@pytest.fixture(autouse=True)
def outbox(running: Info) -> Iterator[None]:
    call(running, "DELETE", "/_local/outbox")
    yield
    for alert in sdk(running).alerts_v2.list_alerts():
        sdk(running).alerts_v2.trash_alert(str(alert.id))


def _alert(query: str = "SELECT 0.2 AS rate", **more: Any) -> AlertV2:
    notification = more.pop("notification", None)
    fields: dict[str, Any] = {
        "display_name": "errors",
        "query_text": query,
        "warehouse_id": WAREHOUSE,
        "evaluation": AlertV2Evaluation(
            source=AlertV2OperandColumn(name="rate"),
            comparison_operator=ComparisonOperator.GREATER_THAN,
            threshold=AlertV2Operand(value=AlertV2OperandValue(double_value=0.05)),
            notification=notification,
        ),
        "schedule": CronSchedule("0 0 * * * ?", "UTC", SchedulePauseStatus.PAUSED),
    }
    return AlertV2(**fields | more)


def test_an_alert_from_creation_to_the_trash(admin: WorkspaceClient) -> None:
    given = _alert(parent_path="/Shared")
    made = admin.alerts_v2.create_alert(given)
    assert made.id is not None
    assert made.lifecycle_state == AlertLifecycleState.ACTIVE
    assert made.owner_user_name == "admin@local.test"
    assert made.effective_run_as == AlertV2RunAs(user_name="admin@local.test")
    assert made.evaluation.state == AlertEvaluationState.UNKNOWN
    assert _without_outputs(made) == given.as_dict()
    assert admin.alerts_v2.get_alert(made.id) == made
    assert [alert.id for alert in admin.alerts_v2.list_alerts()] == [made.id]

    changed = _alert("SELECT 1 AS rate", display_name="errors 2", custom_summary="s")
    changed.parent_path = "/Shared"
    after = admin.alerts_v2.update_alert(made.id, changed, MASK)
    assert _without_outputs(after) == changed.as_dict()
    cleared = admin.alerts_v2.update_alert(made.id, _alert(display_name="x"), "custom_summary")
    assert (cleared.display_name, cleared.custom_summary) == ("errors 2", None)

    admin.alerts_v2.trash_alert(made.id)
    with pytest.raises(NotFound):
        admin.alerts_v2.get_alert(made.id)
    assert list(admin.alerts_v2.list_alerts()) == []


def test_nothing_is_filled_in(running: Info) -> None:
    body = {
        "display_name": "bare",
        "query_text": "SELECT 1 AS n",
        "warehouse_id": WAREHOUSE,
        "evaluation": {
            "source": {"name": "n"},
            "comparison_operator": "GREATER_THAN",
            "threshold": {"value": {"double_value": 0}},
        },
        "schedule": {"quartz_cron_schedule": "0 0 0 1 1 ?", "timezone_id": "UTC"},
    }
    made = call(running, "POST", "/api/2.0/alerts", json=body).json()
    outputs = {"id", "create_time", "update_time", "lifecycle_state", "owner_user_name"}
    assert set(made) - set(body) == outputs | {"effective_run_as"}
    assert made["evaluation"].pop("state") == "UNKNOWN"
    assert {key: made[key] for key in body} == body


def test_what_an_alert_cannot_say(admin: WorkspaceClient) -> None:
    def refused(match: str, alert: AlertV2, error: type[Exception] = BadRequest) -> None:
        with pytest.raises(error, match=match):
            admin.alerts_v2.create_alert(alert)

    refused("6 or 7 fields", _alert(schedule=CronSchedule("0 0 * * *", "UTC")))
    refused("doesn't exist", _alert(parent_path="/Shared/nowhere"), NotFound)
    refused("no user or service principal", _alert(run_as=AlertV2RunAs("x")), NotFound)
    refused("warehouse nope", _alert(warehouse_id="nope"), NotFound)
    subscribed = AlertV2Notification(subscriptions=[AlertV2Subscription(destination_id="none")])
    refused("destination none", _alert(notification=subscribed), NotFound)
    source = AlertV2OperandColumn(name="rate")
    bare = AlertV2Evaluation(source, ComparisonOperator.EQUAL)
    refused("exactly one of column and value", _alert(evaluation=bare))
    made = admin.alerts_v2.create_alert(_alert())
    with pytest.raises(BadRequest, match="update_mask"):
        admin.alerts_v2.update_alert(str(made.id), _alert(), "state")


def test_alerts_belong_to_somebody(running: Info, admin: WorkspaceClient) -> None:
    made = admin.alerts_v2.create_alert(_alert())
    reader = sdk(running, "local-reader")
    with pytest.raises(PermissionDenied, match="CAN_READ"):
        reader.alerts_v2.get_alert(str(made.id))
    assert list(reader.alerts_v2.list_alerts()) == []
    own = reader.alerts_v2.create_alert(_alert())
    assert own.effective_run_as == AlertV2RunAs(user_name="reader@local.test")


def _without_outputs(alert: AlertV2) -> dict[str, Any]:
    found = alert.as_dict()
    for name in ("id", "create_time", "update_time", "lifecycle_state", "owner_user_name"):
        del found[name]
    del found["effective_run_as"]
    found["evaluation"].pop("state")
    found["evaluation"].pop("last_evaluated_at", None)
    return found


def _evaluate(info: Info, alert: AlertV2) -> dict[str, Any]:
    answer = call(info, "POST", f"/_local/alerts/{alert.id}/evaluate")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _outbox(info: Info) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = call(info, "GET", "/_local/outbox").json()["messages"]
    return messages


def test_an_alert_goes_off_and_comes_back(running: Info, admin: WorkspaceClient) -> None:
    hook = GenericWebhookConfig(url="https://hooks.test/secret")
    destination = admin.notification_destinations.create(
        display_name="hook", config=Config(generic_webhook=hook)
    )
    subscriptions = [
        AlertV2Subscription(user_email="on-call@lab.org"),
        AlertV2Subscription(destination_id=destination.id),
    ]
    notification = AlertV2Notification(notify_on_ok=True, subscriptions=subscriptions)
    summary = "{{ALERT_STATUS}}: {{QUERY_RESULT_VALUE}} > {{ALERT_THRESHOLD}}"
    given = _alert("SELECT 0.2 AS rate", notification=notification, custom_summary=summary)
    made = admin.alerts_v2.create_alert(given)
    assert _evaluate(running, made)["state"] == "TRIGGERED"
    mail, call_out = _outbox(running)
    assert (mail["to"], mail["subject"]) == (["on-call@lab.org"], "TRIGGERED: 0.2 > 0.05")
    assert str(made.id) in mail["text"]
    assert (running.folder / "outbox" / mail["file"]).read_bytes().startswith(b"From: ")
    assert call_out["destination_type"] == "WEBHOOK"
    assert call_out["payload"]["alert"]["state"] == "TRIGGERED"
    assert "hooks.test" not in str(call_out)

    assert _evaluate(running, made)["notified"] == []  # it has said so already
    after = admin.alerts_v2.get_alert(str(made.id))
    assert after.evaluation.state == AlertEvaluationState.TRIGGERED
    assert after.evaluation.last_evaluated_at is not None
    assert _without_outputs(after) == given.as_dict()
    quiet = _alert("SELECT 0.01 AS rate", notification=notification)
    admin.alerts_v2.update_alert(str(made.id), quiet, "query_text")
    assert _evaluate(running, made)["state"] == "OK"
    assert _outbox(running)[-2]["subject"] == "OK: 0.01 > 0.05"
    admin.notification_destinations.delete(str(destination.id))


def test_it_goes_off_again_after_a_while(running: Info, admin: WorkspaceClient) -> None:
    subscriptions = [AlertV2Subscription(user_email="a@b.org")]
    again = AlertV2Notification(retrigger_seconds=600, subscriptions=subscriptions)
    made = admin.alerts_v2.create_alert(_alert(notification=again))
    assert len(_evaluate(running, made)["notified"]) == 1
    try:
        call(running, "PUT", "/_local/clock", json={"offset_ms": 599_000})
        assert _evaluate(running, made)["notified"] == []
        call(running, "PUT", "/_local/clock", json={"offset_ms": 700_000})
        assert len(_evaluate(running, made)["notified"]) == 1
    finally:
        call(running, "PUT", "/_local/clock", json={"offset_ms": 0})


@pytest.mark.parametrize(
    ("query", "source", "operator", "state"),
    [
        ("SELECT 0.05 AS rate", {}, "GREATER_THAN", "OK"),
        ("SELECT 0.05 AS rate", {}, "GREATER_THAN_OR_EQUAL", "TRIGGERED"),
        ("SELECT * FROM VALUES (0), (1) AS t(rate)", {}, "EQUAL", "OK"),
        (
            "SELECT * FROM VALUES (0), (1) AS t(rate)",
            {"aggregation": "AVG"},
            "GREATER_THAN",
            "TRIGGERED",
        ),
        ("SELECT CAST(NULL AS DOUBLE) AS rate", {}, "GREATER_THAN", "UNKNOWN"),
        ("SELECT CAST(NULL AS DOUBLE) AS rate", {}, "IS_NULL", "TRIGGERED"),
        ("SELECT 1 AS rate WHERE false", {}, "GREATER_THAN", "OK"),
        ("SELECT 1 AS other", {}, "GREATER_THAN", "ERROR"),
        ("SELECT rate FROM main.none.none", {}, "GREATER_THAN", "ERROR"),
    ],
)
def test_the_state_is_what_the_query_says(
    running: Info, query: str, source: dict[str, str], operator: str, state: str
) -> None:
    body = _alert(query).as_dict()
    body["evaluation"]["source"] |= source
    body["evaluation"] |= {"comparison_operator": operator, "empty_result_state": "OK"}
    made = AlertV2.from_dict(call(running, "POST", "/api/2.0/alerts", json=body).json())
    assert _evaluate(running, made)["state"] == state
