"""Access lists, without Terraform: who stays in them, and what is shown to whom."""

from __future__ import annotations

from typing import cast

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.rest import Client, Session
from scgpt_databricks.local_workspace.stand_in_provider.values import Values
from tests.unit.local_workspace.stand_in_provider.monitoring_server import (
    PERMISSIONS,
    WAREHOUSES,
    MonitoringServer,
)
from tests.unit.local_workspace.stand_in_provider.test_monitoring_types import (
    applied,
    made,
    of,
    refreshed,
)


def levels(state: Values | None) -> list[tuple[str, str]]:
    """Who has which level."""
    assert state is not None
    return [(entry["user_name"], entry["permission_level"]) for entry in state["access_control"]]


READER = {"user_name": "reader@local.test", "permission_level": "CAN_READ"}


def entry(level: str, who: str = "admin@local.test") -> dict[str, str]:
    return {"user_name": who, "permission_level": level}


@pytest.mark.parametrize(
    ("argument", "collection", "added"),
    [
        ("serving_endpoint_id", "serving-endpoints", ["CAN_MANAGE"]),
        ("experiment_id", "experiments", []),
        ("sql_endpoint_id", "sql/warehouses", ["CAN_MANAGE", "IS_OWNER"]),
        ("alert_v2_id", "alertsv2", ["CAN_MANAGE"]),
        ("dashboard_id", "dashboards", []),
        ("sql_query_id", "sql/queries", ["CAN_MANAGE"]),
        ("job_id", "jobs", ["IS_OWNER"]),
    ],
)
def test_the_list_of_an_object(argument: str, collection: str, added: list[str]) -> None:
    """The caller is put on the lists of some kinds, under its user name whatever it is."""
    server = MonitoringServer()
    config = {argument: "x1", "access_control": [READER]}
    state = made(server, "permissions", config)
    path = f"{PERMISSIONS}/{collection}/x1"
    sent = {"access_control_list": [READER, *map(entry, added)]}
    assert ("PUT", path, sent) in server.sent
    assert state["id"] == f"/{collection}/x1"
    assert levels(refreshed(server, "permissions", state)) == [("reader@local.test", "CAN_READ")]

    config["access_control"] = [READER, entry("CAN_MANAGE")]
    state = made(server, "permissions", config, prior=state)
    shown = levels(refreshed(server, "permissions", state))
    assert {who for who, _ in shown} == {"reader@local.test", server.me()}, "declared, it is shown"
    imported = of("permissions").imported(state["id"])
    found = refreshed(server, "permissions", imported)
    assert found is not None
    assert found[argument] == "x1"


@pytest.mark.parametrize(
    ("argument", "path", "made_by", "left"),
    [
        ("serving_endpoint_id", "serving-endpoints/x1", {}, [entry("CAN_MANAGE")]),
        ("dashboard_id", "dashboards/x1", {}, []),
        (
            "sql_endpoint_id",
            "sql/warehouses/x1",
            {f"{WAREHOUSES}/x1": {"creator_name": "maker@local.test"}},
            [entry("CAN_MANAGE"), entry("IS_OWNER", "maker@local.test")],
        ),
    ],
)
def test_a_list_that_goes(
    argument: str, path: str, made_by: dict[str, Values], left: list[Values]
) -> None:
    """Objects with owners are given back to whoever made them."""
    server = MonitoringServer()
    server.objects |= made_by
    state = made(server, "permissions", {argument: "x1", "access_control": [READER]})
    of("permissions").delete(Session(cast(Client, server), "permissions"), state)
    assert server.sent[-1] == ("PUT", f"{PERMISSIONS}/{path}", {"access_control_list": left})


@pytest.mark.parametrize(
    ("argument", "level", "refused"),
    [
        ("experiment_id", "CAN_EDIT", "for mlflowExperiment, allowed levels: CAN_MANAGE"),
        ("job_id", "CAN_VIEW", "for job, allowed levels: CAN_MANAGE, IS_OWNER"),
        ("serving_endpoint_id", "CAN_QUERY", "for serving-endpoint, allowed levels: CAN_MANAGE"),
        ("experiment_id", "CAN_MANAGE", None),
        ("job_id", "IS_OWNER", None),
    ],
)
def test_nobody_takes_the_management_from_itself(
    argument: str, level: str, refused: str | None
) -> None:
    """Nor does the real provider let it, at any later apply."""
    server = MonitoringServer()
    config = {argument: "x1", "access_control": [READER, entry(level)]}
    _, problem = applied(server, "permissions", config)
    if refused is None:
        assert problem is None
    else:
        assert problem is not None
        assert refused in problem
        assert server.writes() == []
