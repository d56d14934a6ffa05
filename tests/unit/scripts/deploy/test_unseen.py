"""Differences that no plan shows find their resources in the state, and what puts them right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.scripts.deploy.terraform import Terraform
from scgpt_databricks.scripts.deploy.unseen import Differing, differing, take_away
from scgpt_databricks.scripts.deploy.verify import Difference
from scgpt_databricks.scripts.deploy.verify.difference import ABSENT

DEV = settings.load("dev", layout.ENVIRONMENTS)
STATE = [
    ("databricks_job.daily", {"id": "7", "name": "scgpt-serving: daily error rate"}),
    ("databricks_sql_endpoint.warehouse", {"id": "w-1", "name": "scgpt-serving-monitoring"}),
    ("databricks_dashboard.dashboard", {"id": "d-1", "display_name": "scgpt-serving: requests"}),
    ("databricks_schema.schema", {"id": "dev.scgpt", "name": "scgpt"}),
    ("databricks_grant.g", {"id": "schema/dev.scgpt/team"}),
]


class Stack(Terraform):
    """A stack with this state."""

    def resources(self) -> list[dict[str, Any]]:
        return [
            {"address": address, "type": address.partition(".")[0], "values": values}
            for address, values in STATE
        ]


LINES: list[str] = []
STACK = Stack(Path("dev-monitoring"), {}, LINES.append)


def test_differences_belong_to_resources_of_the_state() -> None:
    found = [
        Difference("job scgpt-serving: daily error rate", "timeout_seconds", 3600, ABSENT),
        Difference("schema dev.scgpt", "comment", "ours", ABSENT),
        # Each plan shows these, or no state holds them.
        Difference("schema dev.scgpt", "grant to team", "USE_SCHEMA", ABSENT),
        Difference("dashboard scgpt-serving: requests", "permission of p", "CAN_READ", ABSENT),
        Difference("warehouse scgpt-serving-monitoring", "exists", True, False),
        Difference("job another", "timeout_seconds", 3600, ABSENT),
        Difference("endpoint scgpt-serving", "tags.a", "b", ABSENT),
    ]
    located = [(each.address, each.identifier, each.fields) for each in differing(STACK, found)]
    assert located == [
        ("databricks_job.daily", "7", ("timeout_seconds",)),
        ("databricks_schema.schema", "dev.scgpt", ("comment",)),
    ]
    assert differing(STACK, found[2:]) == []


def workspace(sent: list[Any]) -> WorkspaceClient:
    """One whose warehouse answers more than an edit takes."""
    there = {"id": "w-1", "name": "w", "cluster_size": "Small", "state": "RUNNING", "tags": {}}

    def do(method: str, path: str, body: Any = None) -> Any:
        sent.append((method, path, body))
        return there

    def update(job_id: int, fields_to_remove: list[str]) -> None:
        sent.append((job_id, fields_to_remove))

    found = SimpleNamespace(jobs=SimpleNamespace(update=update), api_client=SimpleNamespace(do=do))
    return cast(WorkspaceClient, found)


def of(address: str, identifier: str, field: str, declared: Any) -> Differing:
    return Differing(STACK, address, identifier, (Difference("r", field, declared, "found"),))


@pytest.mark.parametrize("tags", [{}, {"project": "scgpt"}])
def test_what_the_provider_sends_as_blanks_is_taken_away(tags: dict[str, str]) -> None:
    sent: list[Any] = []
    client, declared = workspace(sent), DEV.model_copy(update={"tags": tags})
    assert take_away(client, declared, of("databricks_job.daily", "7", "emails.on_failure", []))
    assert sent == [(7, ["email_notifications"])]
    warehouse = of("databricks_sql_endpoint.warehouse", "w-1", "tags.None", ABSENT)
    assert take_away(client, declared, warehouse)
    custom = [{"key": key, "value": value} for key, value in tags.items()]
    body = {"name": "w", "cluster_size": "Small", "tags": {"custom_tags": custom}}
    path = "/api/2.0/sql/warehouses/w-1"
    assert sent[1:] == [("GET", path, None), ("POST", f"{path}/edit", body)]
    assert LINES[-2:] == [
        "dev-monitoring: databricks_job.daily: email_notifications taken away through the API",
        "dev-monitoring: databricks_sql_endpoint.warehouse: tags taken away through the API",
    ]


@pytest.mark.parametrize(
    "resource",
    [
        of("databricks_job.daily", "7", "emails.on_failure", ["ops@example.com"]),
        of("databricks_job.daily", "7", "timeout_seconds", ABSENT),
        of("databricks_sql_endpoint.warehouse", "w-1", "tags.project", "scgpt"),
        of("databricks_schema.schema", "dev.scgpt", "comment", ABSENT),
    ],
)
def test_the_rest_is_left_to_terraform(resource: Differing) -> None:
    sent: list[Any] = []
    assert not take_away(workspace(sent), DEV, resource)
    assert sent == []
