"""Dashboards through the unmodified SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    NotFound,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
)
from databricks.sdk.service.dashboards import Dashboard, LifecycleState

from scgpt_databricks.local_workspace.server.instance import Info
from tests.acceptance.workspace.clients import sdk

pytestmark = pytest.mark.acceptance

WAREHOUSE = "0123456789abcdef"


@pytest.fixture
def admin(running: Info) -> WorkspaceClient:
    return sdk(running)


def content(query: str = "SELECT 1 AS n", dataset: str = "d") -> str:
    widget = {
        "name": "w",
        "queries": [{"name": "main_query", "query": {"datasetName": dataset, "fields": []}}],
        "spec": {"version": 2, "widgetType": "counter", "encodings": {}},
    }
    position = {"x": 0, "y": 0, "width": 2, "height": 3}
    return json.dumps(
        {
            "datasets": [{"name": "d", "displayName": "D", "queryLines": [query]}],
            "pages": [{"name": "p", "layout": [{"widget": widget, "position": position}]}],
        }
    )


def _dashboard(**more: Any) -> Dashboard:
    fields = {"parent_path": "/Shared", "warehouse_id": WAREHOUSE}
    return Dashboard(**fields | {"serialized_dashboard": content()} | more)


def test_a_dashboard_from_creation_to_the_trash(admin: WorkspaceClient) -> None:
    api = admin.lakeview
    made = api.create(_dashboard(display_name="Serving"))
    assert made.dashboard_id is not None
    assert made.path == "/Shared/Serving.lvdash.json"
    assert json.loads(str(made.serialized_dashboard))["datasets"][0]["name"] == "d"
    with pytest.raises(NotFound, match="published"):
        api.get_published(made.dashboard_id)
    published = api.publish(made.dashboard_id, embed_credentials=False)
    assert (published.warehouse_id, published.embed_credentials) == (WAREHOUSE, False)
    assert api.get_published(made.dashboard_id) == published
    assert api.get(made.dashboard_id) == made

    changed = api.update(made.dashboard_id, Dashboard(display_name="Serving 2", etag=made.etag))
    assert changed.etag != made.etag
    assert changed.serialized_dashboard == made.serialized_dashboard
    with pytest.raises(ResourceConflict, match="somebody else"):
        api.update(made.dashboard_id, Dashboard(display_name="Serving 3", etag=made.etag))
    with pytest.raises(ResourceAlreadyExists, match="already exists"):
        api.create(_dashboard(display_name="Serving 2"))

    api.trash(made.dashboard_id)
    assert api.get(made.dashboard_id).lifecycle_state == LifecycleState.TRASHED
    assert made.dashboard_id not in [found.dashboard_id for found in api.list()]
    assert made.dashboard_id in [found.dashboard_id for found in api.list(show_trashed=True)]
    with pytest.raises(NotFound):
        api.publish(made.dashboard_id)


def test_a_folder_is_made_when_the_answer_asks_for_it(admin: WorkspaceClient) -> None:
    folder = "/Workspace/Shared/a/b"
    with pytest.raises(NotFound) as refused:
        admin.lakeview.create(_dashboard(display_name="d", parent_path=folder))
    assert str(refused.value) == f"Path ({folder}) doesn't exist."
    admin.workspace.mkdirs(folder)
    assert admin.workspace.get_status("/Shared/a/b").path == "/Shared/a/b"
    made = admin.lakeview.create(_dashboard(display_name="d", parent_path=folder))
    assert made.parent_path == "/Shared/a/b"


def test_what_a_dashboard_cannot_be(running: Info, admin: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match="not understood"):
        admin.lakeview.create(_dashboard(display_name="x", serialized_dashboard="{"))
    with pytest.raises(BadRequest, match="'w' reads the dataset 'e'; there are d"):
        admin.lakeview.create(
            _dashboard(display_name="x", serialized_dashboard=content(dataset="e"))
        )
    made = admin.lakeview.create(_dashboard(display_name="mine"))
    with pytest.raises(PermissionDenied, match="CAN_READ"):
        sdk(running, "local-reader").lakeview.get(str(made.dashboard_id))
