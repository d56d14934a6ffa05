"""Access lists, without Terraform: who stays in them, and what is shown to whom."""

from __future__ import annotations

from typing import cast

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.rest import Client, Session
from scgpt_databricks.local_workspace.stand_in_provider.values import Values
from tests.unit.local_workspace.stand_in_provider.monitoring_server import (
    PERMISSIONS,
    MonitoringServer,
)
from tests.unit.local_workspace.stand_in_provider.test_monitoring_types import made, of, refreshed


def levels(state: Values | None) -> list[tuple[str, str]]:
    """Who has which level."""
    assert state is not None
    return [(entry["user_name"], entry["permission_level"]) for entry in state["access_control"]]


@pytest.mark.parametrize(
    ("argument", "collection", "kept"),
    [
        ("sql_endpoint_id", "sql/warehouses", "IS_OWNER"),
        ("alert_v2_id", "alertsv2", "CAN_MANAGE"),
        ("dashboard_id", "dashboards", "CAN_MANAGE"),
        ("job_id", "jobs", "IS_OWNER"),
    ],
)
def test_the_list_of_an_object(argument: str, collection: str, kept: str) -> None:
    server = MonitoringServer()
    reader = {"user_name": "reader@local.test", "permission_level": "CAN_VIEW"}
    me = {"user_name": server.me(), "permission_level": kept}
    config = {argument: "x1", "access_control": [reader]}
    state = made(server, "permissions", config)
    path = f"{PERMISSIONS}/{collection}/x1"
    assert ("PUT", path, {"access_control_list": [reader, me]}) in server.sent
    assert state["id"] == f"/{collection}/x1"
    assert levels(refreshed(server, "permissions", state)) == [("reader@local.test", "CAN_VIEW")]

    config["access_control"] = [reader, me]
    state = made(server, "permissions", config, prior=state)
    both = [("reader@local.test", "CAN_VIEW"), (server.me(), kept)]
    assert levels(refreshed(server, "permissions", state)) == both, "declared, the caller is shown"
    imported = of("permissions").imported(state["id"])
    found = refreshed(server, "permissions", imported)
    assert found is not None
    assert found[argument] == "x1"
    of("permissions").delete(Session(cast(Client, server), "permissions"), state)
    assert server.sent[-1] == ("PUT", path, {"access_control_list": [me]})


def test_an_owner_who_is_declared_less_is_owner_all_the_same() -> None:
    """Two levels for one principal, of which the highest comes back: a change in each plan."""
    server = MonitoringServer()
    me = {"user_name": server.me(), "permission_level": "CAN_MANAGE"}
    state = made(server, "permissions", {"job_id": "x1", "access_control": [me]})
    assert levels(refreshed(server, "permissions", state)) == [(server.me(), "IS_OWNER")]
