"""The stand-in surprises as the real provider does."""

from __future__ import annotations

from typing import Any

from scgpt_databricks.local_workspace.stand_in_provider.alerts import _UPDATED
from scgpt_databricks.local_workspace.stand_in_provider.plan import plan
from scgpt_databricks.local_workspace.stand_in_provider.schema import table
from scgpt_databricks.local_workspace.stand_in_provider.values import UNKNOWN
from tests.unit.local_workspace.stand_in_provider.monitoring_server import (
    DASHBOARDS,
    WAREHOUSES,
    MonitoringServer,
)
from tests.unit.local_workspace.stand_in_provider.test_monitoring_types import (
    ALERT,
    DASHBOARD,
    WAREHOUSE,
    applied,
    made,
    refreshed,
    replanned,
)

JOB: dict[str, Any] = {
    "name": "j",
    "task": [{"task_key": "t", "notebook_task": [{"notebook_path": "/a"}]}],
}
MAILS = {"email_notifications": [{"on_failure": ["a@b.c", "d@e.f"]}]}
TAGS = {"tags": [{"custom_tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]}]}


def test_addresses_that_a_file_no_longer_has_are_sent_as_blanks() -> None:
    server = MonitoringServer()
    state = made(server, "job", JOB | MAILS)
    after = made(server, "job", JOB, prior=state)
    _, _, body = next(each for each in reversed(server.sent) if each[1].endswith("reset"))
    assert body["new_settings"]["email_notifications"] == {"on_failure": ["", ""]}
    assert replanned("job", JOB, after) == after, "and no later plan shows it"
    empty = JOB | {"email_notifications": [{}]}
    planned = replanned("job", empty, state)["email_notifications"][0]
    assert planned["on_failure"] == ["", ""], "an empty block is no way out"


def test_tags_that_a_file_no_longer_has_are_sent_as_blanks() -> None:
    server = MonitoringServer()
    state = made(server, "sql_endpoint", WAREHOUSE | TAGS)
    server.objects[f"{WAREHOUSES}/x1/edit"] = {}
    applied(server, "sql_endpoint", WAREHOUSE, prior=state)
    *_, body = next(each for each in server.sent if each[1].endswith("/edit"))
    assert body["tags"] == {"custom_tags": [{}, {}]}


def test_what_was_cleared_by_hand_is_seen_where_the_answer_still_has_the_block() -> None:
    server = MonitoringServer()
    state = made(server, "job", JOB | MAILS)
    server.objects["job"]["settings"]["email_notifications"] = {}
    seen = refreshed(server, "job", state)
    assert seen is not None
    assert replanned("job", JOB | MAILS, seen) != seen
    del server.objects["job"]["settings"]["email_notifications"]
    unseen = refreshed(server, "job", state)
    assert unseen is not None
    assert unseen["email_notifications"] == state["email_notifications"], "nothing is seen"


def test_a_create_whose_undoing_fails_as_well_leaves_nothing_in_the_state() -> None:
    server = MonitoringServer()
    server.refusals = {
        ("POST", f"{DASHBOARDS}/x1/published"): (400, "no such warehouse"),
        ("DELETE", f"{DASHBOARDS}/x1"): (500, "not now"),
    }
    state, problem = applied(server, "dashboard", DASHBOARD)
    assert state is None
    assert problem is not None
    assert "no such warehouse" in problem
    assert "could not be deleted: not now" in problem


def test_an_alert_whose_update_fails_stays_as_it_was() -> None:
    """Its next plan shows the change again, unlike that of the older types."""
    server = MonitoringServer()
    before = made(server, "alert_v2", ALERT)
    changed = ALERT | {"display_name": "b"}
    path = f"/api/2.0/alerts/{before['id']}?update_mask={_UPDATED}"
    server.refusals = {("PATCH", path): (400, "no")}
    state, problem = applied(server, "alert_v2", changed, prior=before)
    assert problem == "cannot update alert v2: no"
    assert state == before


def test_a_list_with_one_unknown_element_is_unknown() -> None:
    block = table("names: strings optional")
    assert plan(block, {"names": ["a", UNKNOWN]}, None).planned == {"names": UNKNOWN}
    assert plan(block, {"names": ["a", "b"]}, None).planned == {"names": ["a", "b"]}
