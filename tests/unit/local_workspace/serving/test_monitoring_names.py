"""Alerts and dashboard read the table that the platform named after the endpoint."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pyarrow
import pytest
from deltalake import write_deltalake

from scgpt_databricks.infra import layout, monitoring, settings
from scgpt_databricks.infra.monitoring import lakeview
from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import inference
from scgpt_databricks.scripts.monitoring.error_rate import error_rate
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.kit import rows, statements

WAREHOUSE = "0123456789abcdef"


@pytest.fixture(params=["scgpt-serving", "Cells", "7-days"])
def table(request: pytest.FixtureRequest, admin: TestClient, workspace: Workspace) -> str:
    """Two requests, one of which failed, in the table of an endpoint with this prefix."""
    local = settings.load("local", layout.ENVIRONMENTS)
    gateway = local.gateway.model_copy(update={"inference_table_prefix": request.param})
    name = local.model_copy(update={"gateway": gateway}).names.inference_table
    assert name == f"main.scgpt.{request.param}_payload"
    now, stored = datetime.now(UTC), name.lower()
    data = [
        {
            "databricks_request_id": str(status),
            "request_time": now,
            "request_date": now.date(),
            "status_code": status,
        }
        for status in (200, 500)
    ]
    path, pa = workspace.tables / stored, cast(Any, pyarrow)
    write_deltalake(str(path), pa.Table.from_pylist(data, schema=inference.SCHEMA))
    securables.register_table(
        workspace, stored, owner="admin@local.test", columns=[], storage_location=path.as_uri()
    )
    return name


def test_alerts_and_tiles_read_it(admin: TestClient, table: str) -> None:
    alert = next(each for each in monitoring.ALERTS if each.key == "error_rate")
    statement = monitoring.query(alert.sql, table=table, **alert.values)
    (found,) = rows(admin, f"SELECT {alert.column} FROM ({statement})")
    assert float(str(found[0])) == 0.5
    tiles = [each for each in monitoring.TILES if each.sql == "per_hour"]
    for tile in tiles:
        statement = monitoring.query(tile.sql, table=table, **tile.values)
        assert rows(admin, f"SELECT {tile.x}, {tile.y} FROM ({statement})")
    assert len(tiles) >= 3  # the others read tables that stand beside it
    dashboard = lakeview.serialized(monitoring.TILES, title="t", table=table)
    assert f"FROM {monitoring.quoted(table)}\\n" in dashboard


def test_the_job_reads_it(admin: TestClient, table: str) -> None:
    client = statements(admin)
    found = error_rate(client, table=table, warehouse=WAREHOUSE, hours=24)
    assert (found.table, found.requests, found.failed) == (table, 2, 1)
