"""The types of monitoring, without Terraform: what they send, keep, and do when it goes wrong."""

from __future__ import annotations

import copy
import threading
from typing import Any, cast

import pytest

from scgpt_databricks.local_workspace.stand_in_provider import framework
from scgpt_databricks.local_workspace.stand_in_provider.alerts import ALERT_V2
from scgpt_databricks.local_workspace.stand_in_provider.plan import plan
from scgpt_databricks.local_workspace.stand_in_provider.resource import Resource
from scgpt_databricks.local_workspace.stand_in_provider.rest import Client, ProviderError, Session
from scgpt_databricks.local_workspace.stand_in_provider.rpc import RESOURCES, Provider
from scgpt_databricks.local_workspace.stand_in_provider.schema import table
from scgpt_databricks.local_workspace.stand_in_provider.values import UNKNOWN, Values, conform
from tests.unit.local_workspace.stand_in_provider.monitoring_server import (
    DASHBOARDS,
    DESTINATIONS,
    JOBS,
    WAREHOUSES,
    MonitoringServer,
)
from tests.unit.local_workspace.stand_in_provider.recordings import as_terraform

WAREHOUSE = {"name": "w", "cluster_size": "2X-Small"}
DASHBOARD = {
    "display_name": "d",
    "parent_path": "/Shared/scgpt",
    "warehouse_id": "w1",
    "serialized_dashboard": '{"pages":[]}',
}
HOOK = {"url": "https://hooks.example.com/1", "password": "p"}
ALERT: dict[str, Any] = {
    "display_name": "a",
    "query_text": "select 0 as c",
    "warehouse_id": "w1",
    "schedule": {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC"},
    "evaluation": {
        "source": {"name": "c"},
        "comparison_operator": "GREATER_THAN",
        "threshold": {"value": {"double_value": 0}},
        "notification": {"notify_on_ok": True, "subscriptions": [{"user_email": "a@b.c"}]},
    },
}


@pytest.fixture
def server() -> MonitoringServer:
    return MonitoringServer()


def of(kind: str) -> Resource:
    return RESOURCES[f"databricks_{kind}"]


def applied(
    server: MonitoringServer, kind: str, config: dict[str, Any], prior: Values | None = None
) -> tuple[Values | None, str | None]:
    """Plan and apply; the state, and what went wrong."""
    provider, resource = Provider(threading.Event()), of(kind)
    provider._client = cast(Client, server)
    planned = resource.plan(as_terraform(resource.table, config), prior).planned
    return provider._apply(resource, prior, planned)


def made(server: MonitoringServer, kind: str, config: dict[str, Any], **known: Any) -> Values:
    state, problem = applied(server, kind, config, **known)
    assert problem is None
    assert state is not None
    return state


def refreshed(server: MonitoringServer, kind: str, state: Values) -> Values | None:
    return of(kind).read(Session(cast(Client, server), kind), state)


def replanned(kind: str, config: dict[str, Any], prior: Values) -> Values:
    return of(kind).plan(as_terraform(of(kind).table, config), prior).planned


def test_a_warehouse_is_waited_for(server: MonitoringServer) -> None:
    server.states = ["STARTING", "STARTING", "RUNNING"]
    assert made(server, "sql_endpoint", WAREHOUSE)["state"] == "RUNNING"
    assert server.waited == 2


def test_a_warehouse_that_does_not_start_is_deleted_and_tainted(server: MonitoringServer) -> None:
    server.states = ["STARTING", "STOPPED"]
    state, problem = applied(server, "sql_endpoint", WAREHOUSE)
    assert problem == "cannot create sql endpoint: failed to reach RUNNING, got STOPPED"
    assert state is not None
    assert state["id"] == "x1"
    assert server.writes() == [("POST", WAREHOUSES), ("DELETE", f"{WAREHOUSES}/x1")]


def test_a_warehouse_need_not_be_waited_for(server: MonitoringServer) -> None:
    server.states = ["STARTING"]
    assert made(server, "sql_endpoint", {**WAREHOUSE, "no_wait": True})["state"] == "STARTING"


def test_zeros_that_mean_something_are_sent(server: MonitoringServer) -> None:
    """No stop, no Photon; what is not configured has its default."""
    made(server, "sql_endpoint", {**WAREHOUSE, "auto_stop_mins": 0, "enable_photon": False})
    _, _, body = server.sent[0]
    defaults = {"max_num_clusters": 1, "spot_instance_policy": "COST_OPTIMIZED"}
    assert body == {**WAREHOUSE, "auto_stop_mins": 0, "enable_photon": False, **defaults}


def test_settings_of_a_warehouse_that_are_not_configured_stay() -> None:
    kept = {"warehouse_type": "PRO", "min_num_clusters": 2, "tags": {"custom_tags": []}}
    prior = as_terraform(of("sql_endpoint").table, {**WAREHOUSE, **kept, "id": "x1"})
    defaults = {"auto_stop_mins": 120, "max_num_clusters": 1, "enable_photon": True}
    prior |= {**defaults, "spot_instance_policy": "COST_OPTIMIZED"}
    assert replanned("sql_endpoint", WAREHOUSE, prior) == prior


def test_a_webhook_is_known_to_the_state_alone(server: MonitoringServer) -> None:
    config = {"display_name": "h", "config": {"generic_webhook": HOOK}}
    state = made(server, "notification_destination", config)
    assert "https" not in repr(server.objects)
    assert refreshed(server, "notification_destination", state) == state
    assert replanned("notification_destination", config, state) == state
    (hook,) = state["config"][0]["generic_webhook"]
    assert hook == {
        **HOOK,
        "username": "",
        "url_set": True,
        "password_set": True,
        "username_set": False,
    }
    moved = {"display_name": "h", "config": {"generic_webhook": {**HOOK, "url": "https://b.c"}}}
    made(server, "notification_destination", moved, prior=state)
    assert server.writes()[-1] == ("PATCH", f"{DESTINATIONS}/x1")


def test_another_kind_of_destination_is_another_destination(server: MonitoringServer) -> None:
    hook = {"display_name": "h", "config": {"generic_webhook": HOOK}}
    mail = {"display_name": "h", "config": {"email": {"addresses": ["a@b.c"]}}}
    resource = of("notification_destination")
    state = made(server, "notification_destination", hook)
    replaced = resource.plan(as_terraform(resource.table, mail), state).replace
    assert replaced == [("config", 0, "email"), ("config", 0, "generic_webhook")]


def test_the_folder_of_a_dashboard_is_made(server: MonitoringServer) -> None:
    server.refusals["POST", DASHBOARDS] = (404, "Path (/Shared/scgpt) doesn't exist.")
    made(server, "dashboard", DASHBOARD)
    folder = ("POST", "/api/2.0/workspace/mkdirs")
    published = ("POST", f"{DASHBOARDS}/x1/published")
    assert server.writes() == [("POST", DASHBOARDS), folder, ("POST", DASHBOARDS), published]


def test_a_dashboard_that_cannot_be_published_is_deleted(server: MonitoringServer) -> None:
    server.refusals["POST", f"{DASHBOARDS}/x1/published"] = (400, "no such warehouse")
    state, problem = applied(server, "dashboard", DASHBOARD)
    assert problem == "cannot create dashboard: no such warehouse. The dashboard was deleted"
    assert state is None
    assert server.objects == {}


def test_a_dashboard_changes_by_its_etag(server: MonitoringServer) -> None:
    state = made(server, "dashboard", DASHBOARD)
    server.objects[f"{DASHBOARDS}/x1"]["serialized_dashboard"] = '{"pages": [ ]}'
    reformatted = refreshed(server, "dashboard", state)
    assert reformatted is not None
    assert replanned("dashboard", DASHBOARD, reformatted) == reformatted
    server.objects[f"{DASHBOARDS}/x1"]["etag"] = "2"
    edited = refreshed(server, "dashboard", state)
    assert edited is not None
    planned = replanned("dashboard", DASHBOARD, edited)
    assert planned["serialized_dashboard"] == DASHBOARD["serialized_dashboard"]
    assert refreshed(server, "dashboard", made(server, "dashboard", DASHBOARD, prior=edited))


def test_content_that_the_server_formats_comes_back_after_another_change(
    server: MonitoringServer,
) -> None:
    """As with the real provider: with the title goes the server's own text, and its checksum."""
    server.extra = {"serialized_dashboard": '{"pages": [ ]}'}
    state = made(server, "dashboard", DASHBOARD)
    assert replanned("dashboard", DASHBOARD, state) == state
    titled = {**DASHBOARD, "display_name": "other"}
    state = made(server, "dashboard", titled, prior=state)
    planned = replanned("dashboard", titled, state)
    assert planned["serialized_dashboard"] == DASHBOARD["serialized_dashboard"]
    state = made(server, "dashboard", titled, prior=state)
    assert replanned("dashboard", titled, state) == state


@pytest.mark.parametrize("change", [{"display_name": "other"}, {"warehouse_id": "w2"}])
def test_the_second_plan_is_empty_after_an_update_that_left_the_content_alone(
    change: dict[str, str], server: MonitoringServer
) -> None:
    """Where the text is declared as the server keeps it; another form comes back, as above."""
    state = made(server, "dashboard", DASHBOARD)
    changed = {**DASHBOARD, **change}
    state = made(server, "dashboard", changed, prior=refreshed(server, "dashboard", state))
    after = refreshed(server, "dashboard", state)
    assert after is not None
    assert replanned("dashboard", changed, after) == after


def test_a_dashboard_in_the_trash_is_gone(server: MonitoringServer) -> None:
    state = made(server, "dashboard", DASHBOARD)
    server.objects[f"{DASHBOARDS}/x1"]["lifecycle_state"] = "TRASHED"
    assert refreshed(server, "dashboard", state) is None
    server.refusals["DELETE", f"{DASHBOARDS}/x1"] = (403, "it is in the trash")
    of("dashboard").delete(Session(cast(Client, server), "dashboard"), state)


def test_a_dashboard_from_a_file_is_refused() -> None:
    with pytest.raises(ProviderError, match="supports serialized_dashboard, not file_path"):
        of("dashboard").validate({"file_path": "/x"})


def test_tasks_are_kept_by_key(server: MonitoringServer) -> None:
    """As the real provider: configure them in this order, or every plan has a difference."""
    after = {"task_key": "b", "depends_on": [{"task_key": "c"}, {"task_key": "a"}]}
    state = made(server, "job", {"task": [after, {"task_key": "a"}]})
    _, _, body = server.sent[0]
    assert [task["task_key"] for task in body["tasks"]] == ["a", "b"]
    assert [each["task_key"] for each in body["tasks"][1]["depends_on"]] == ["a", "c"]
    assert (body["name"], body["queue"]) == ("Untitled", {"enabled": False})
    assert state["run_as"] == [{"user_name": "admin@local.test", "service_principal_name": ""}]
    assert state["url"] == "http://127.0.0.1:1/#job/7"


def test_a_job_is_reset_as_a_whole(server: MonitoringServer) -> None:
    config: dict[str, Any] = {"name": "j", "tags": {"t": "1"}, "task": [{"task_key": "a"}]}
    state = made(server, "job", config)
    assert replanned("job", config, state) == state
    made(server, "job", {**config, "timeout_seconds": 60}, prior=state)
    method, path, body = server.sent[-2]
    assert (method, path, body["job_id"]) == ("POST", f"{JOBS}/reset", 7)
    assert body["new_settings"]["tags"] == {"t": "1"}
    assert body["new_settings"]["run_as"] == {"user_name": "admin@local.test"}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"task": [{"task_key": "a"}], "always_running": True}, "leave out always_running"),
        ({"name": "j", "task": []}, "at least one task block"),
    ],
)
def test_jobs_that_are_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProviderError, match=reason):
        of("job").validate(config)


def test_an_alert_is_told_what_takes_effect(server: MonitoringServer) -> None:
    state = made(server, "alert_v2", ALERT)
    _, _, body = server.sent[0]
    assert body == ALERT, "the zero of the threshold is sent, nothing is added"
    assert state["evaluation"]["notification"]["effective_notify_on_ok"] is True
    assert refreshed(server, "alert_v2", state) == state
    assert replanned("alert_v2", ALERT, state) == state


def test_a_fraction_goes_out_as_a_number_and_stays_what_terraform_wrote(
    server: MonitoringServer,
) -> None:
    """Terraform hands 0.05, which is no binary fraction, over as text."""
    config = copy.deepcopy(ALERT)
    threshold = config["evaluation"]["threshold"]["value"]
    threshold["double_value"] = "0.05"
    state = made(server, "alert_v2", config)
    _, _, body = server.sent[0]
    assert body["evaluation"]["threshold"]["value"] == {"double_value": 0.05}
    assert state["evaluation"]["threshold"]["value"]["double_value"] == "0.05"
    assert replanned("alert_v2", config, refreshed(server, "alert_v2", state)) == state


def test_what_the_server_adds_to_an_alert_is_seen(server: MonitoringServer) -> None:
    """Core then says that the result is inconsistent with the plan."""
    server.extra = {"parent_path": "/Workspace/Users/admin@local.test"}
    state = made(server, "alert_v2", ALERT)
    planned = replanned("alert_v2", ALERT, state)
    assert (state["parent_path"], planned["parent_path"]) == (*server.extra.values(), None)


def test_an_alert_is_planned_strictly() -> None:
    config = as_terraform(ALERT_V2, ALERT)
    first = framework.plan(ALERT_V2, config, None).planned
    assert first["id"] is UNKNOWN
    assert first["effective_run_as"] is UNKNOWN
    assert first["evaluation"]["state"] is UNKNOWN
    prior = conform(ALERT_V2, {**ALERT, "id": "x1"})
    assert framework.plan(ALERT_V2, config, prior).planned == prior
    emptied = {**config, "custom_summary": ""}
    again = framework.plan(ALERT_V2, emptied, prior).planned
    assert (again["id"], again["update_time"]) == ("x1", UNKNOWN)
    elsewhere = {**config, "warehouse_id": UNKNOWN}
    assert framework.plan(ALERT_V2, elsewhere, prior).planned["warehouse_id"] is UNKNOWN


def test_words_of_a_table() -> None:
    block = table("""
        size: number optional default=3
        mode: string optional fills=AUTO
        place: string optional path
        extra: object keep wire=extras
            on: bool optional
    """)
    prior = {"size": 3, "mode": "AUTO", "place": "/Shared/x", "extra": [{"on": True}]}
    config: Values = {"size": None, "mode": None, "place": "/Workspace/Shared/x", "extra": []}
    assert plan(block, config, prior).planned == prior
    other = plan(block, {**config, "place": "/y"}, {**prior, "mode": "OWN"}).planned
    assert other == {"size": 3, "mode": None, "place": "/y", "extra": [{"on": True}]}
    with pytest.raises(ValueError, match="extra: unknown words \\['keeps'\\]"):
        table("extra: object keeps")
