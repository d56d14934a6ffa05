"""From failing requests to a webhook: the queries of the stack, evaluated by the workspace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scgpt_databricks.infra import monitoring
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.infra.monitoring import Alert
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.monitoring import device, retention
from tests.unit.loopback import JsonHandler, listening
from tests.unit.scripts.watch.site import WAREHOUSE, Site

HEARD: list[dict[str, Any]] = []


class Hook(JsonHandler):
    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        HEARD.append(json.loads(self.sent()))
        self.answer(200, {})


def make(site: Site, alert: Alert, destination: str) -> str:
    """Make an alert as the stack declares it; return its id."""
    watch, names = site.settings.monitoring, site.settings.names
    table = str(names.inference_table)
    found = site.call(
        "POST",
        "/api/2.0/alerts",
        display_name=names.watched(alert.title),
        query_text=monitoring.query(alert.sql, table=table, **alert.values),
        warehouse_id=WAREHOUSE,
        evaluation={
            "source": {"name": alert.column, "aggregation": "MAX"},
            "comparison_operator": "GREATER_THAN",
            "threshold": {"value": {"double_value": watch.threshold(alert.threshold)}},
            "empty_result_state": "OK",
            "notification": {
                "notify_on_ok": True,
                "subscriptions": [{"destination_id": destination}],
            },
        },
        schedule={"quartz_cron_schedule": watch.schedule, "timezone_id": "UTC"},
    )
    return str(found["id"])


def evaluate(site: Site, alert_id: str) -> str:
    return str(site.call("POST", f"/_local/alerts/{alert_id}/evaluate")["state"])


def by_key(key: str) -> Alert:
    return next(each for each in monitoring.ALERTS if each.key == key)


def test_each_alert_fires_under_its_own_name_and_is_delivered(site: Site) -> None:
    """Good traffic raises nothing; then requests fail, two versions answer, a GPU is not used."""
    site.call("PUT", "/_local/settings/inference", duplicates=1)
    one, other = site.add_version("cpu"), site.add_version("cpu")
    site.serve((one, 100), ai_gateway=site.gateway())
    table = str(site.settings.names.inference_table)
    site.rows(f"DELETE FROM {table}")
    keys = ("error_rate", "versions", "device_fallback")
    HEARD.clear()
    with listening(Hook) as port, connected(site.settings) as client:
        hook = {"generic_webhook": {"url": f"http://127.0.0.1:{port}/alerts"}}
        told = site.call(
            "POST", "/api/2.0/notification-destinations", display_name="hook", config=hook
        )
        alerts = {key: make(site, by_key(key), told["id"]) for key in keys}
        for _ in range(10):
            site.request(status=200)
        endpoint = site.settings.names.endpoint
        look = device.look(client, endpoint)
        device.note(client, look, table=table, warehouse=WAREHOUSE)
        assert [evaluate(site, alerts[key]) for key in keys] == ["OK"] * 3
        assert HEARD == []
        site.serve((one, 50), (other, 50), workload_type="GPU_SMALL")
        for status in (200, 200, 500, 500):
            site.request(status=status)
        device.note(client, device.look(client, endpoint), table=table, warehouse=WAREHOUSE)
        assert [evaluate(site, alerts[key]) for key in keys] == ["TRIGGERED"] * 3
    names = [each["alert"]["alert"]["name"].removeprefix(f"{endpoint}: ") for each in HEARD]
    assert names == ["error rate", "several versions answer", "device fallback"]
    assert all("docs/runbooks/" not in each["alert"]["title"] for each in HEARD)


def test_a_webhook_that_is_gone_changes_no_state(site: Site) -> None:
    site.serve((site.add_version(), 100), ai_gateway=site.gateway())
    with listening(Hook) as port:
        pass
    hook = {"generic_webhook": {"url": f"http://127.0.0.1:{port}/gone"}}
    told = site.call("POST", "/api/2.0/notification-destinations", display_name="gone", config=hook)
    alert = by_key("error_rate")
    site.request(status=500)
    assert evaluate(site, make(site, alert, told["id"])) in ("TRIGGERED", "OK")


@pytest.mark.parametrize("alert", monitoring.ALERTS, ids=lambda alert: alert.key)
def test_every_alert_has_a_runbook_that_its_message_names(alert: Alert) -> None:
    page = f"docs/runbooks/{alert.key}.md"
    assert page in alert.summary
    text = (ROOT / page).read_text()
    assert all(f"**{part}**" in text for part in ("It means", "Look at", "Do"))


def test_old_rows_are_deleted_and_new_ones_stay(site: Site) -> None:
    site.serve((site.add_version(), 100), ai_gateway=site.gateway())
    table = str(site.settings.names.inference_table)
    site.rows(f"DELETE FROM {table}")
    for _ in range(3):
        site.request(status=200)
    day_ms = 86_400_000
    with connected(site.settings) as client:
        kept = retention.delete_old(client, table=table, warehouse=WAREHOUSE, days=90)
        assert kept[table] == 0
        site.call("PUT", "/_local/clock", offset_ms=91 * day_ms)
        site.request(status=200)
        gone = retention.delete_old(client, table=table, warehouse=WAREHOUSE, days=90)
        site.call("PUT", "/_local/clock", offset_ms=0)
    assert gone[table] == 3
    assert site.rows(f"SELECT count(*) FROM {table}") == [["1"]]
