"""The SQL of alert, tiles and jobs over an inference table with what such tables have."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow
import pytest
from deltalake import write_deltalake

from scgpt_databricks.infra import monitoring
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import inference
from scgpt_databricks.scripts.monitoring.error_rate import error_rate
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.kit import rows, statements

TABLE = "main.scgpt.scgpt_inference_payload"
WAREHOUSE = "0123456789abcdef"
NOW = datetime.now(UTC)

# Minutes ago, status; the last one was delivered twice.
REQUESTS = [(1, 200), (2, 500), (3, 400), (90, 200), (60 * 20, 503), (60 * 24 * 9, 500), (5, 504)]


@pytest.fixture(autouse=True)
def table(admin: TestClient, workspace: Workspace) -> None:
    pa: Any = pyarrow
    numbered = [*enumerate(REQUESTS), (len(REQUESTS) - 1, REQUESTS[-1])]
    data = [
        {
            "databricks_request_id": str(number),
            "request_time": NOW - timedelta(minutes=minutes),
            "request_date": (NOW - timedelta(minutes=minutes)).date(),
            "status_code": status,
            "request": json.dumps({"n": number}),
        }
        for number, (minutes, status) in numbered
    ]
    # A canary repeats requests, which are none of the users'.
    data.append({**data[1], "databricks_request_id": "r", "client_request_id": "scgpt-replay-1"})
    path = workspace.tables / TABLE
    write_deltalake(str(path), pa.Table.from_pylist(data, schema=inference.SCHEMA))
    securables.register_table(
        workspace, TABLE, owner="admin@local.test", columns=[], storage_location=path.as_uri()
    )


def test_every_alert_finds_its_column_in_one_row(admin: TestClient) -> None:
    for alert in monitoring.ALERTS:
        statement = monitoring.query(alert.sql, table=TABLE, **alert.values)
        (found,) = rows(admin, f"SELECT {alert.column} FROM ({statement})")
        assert float(str(found[0])) == pytest.approx(2 / 5), "two hours; each request once"


def test_every_tile_finds_its_columns(admin: TestClient) -> None:
    for tile in monitoring.TILES:
        statement = monitoring.query(tile.sql, table=TABLE, **tile.values)
        found = rows(admin, f"SELECT {tile.x}, {tile.y} FROM ({statement}) ORDER BY {tile.x}")
        assert len(found) >= 2
        assert all(str(hour).endswith(":00:00.000Z") for hour, _ in found)
        if tile.y == "requests":
            assert sum(int(str(count)) for _, count in found) == len(REQUESTS) - 1, "seven days"


def test_the_job_reads_the_same(admin: TestClient) -> None:
    client = statements(admin)
    found = error_rate(client, table=TABLE, warehouse=WAREHOUSE, hours=24)
    assert (found.requests, found.failed, found.error_rate) == (6, 3, pytest.approx(0.5))
    with pytest.raises(DeployError, match=r"asking main\.scgpt\.nowhere failed: .*nowhere"):
        error_rate(client, table="main.scgpt.nowhere", warehouse=WAREHOUSE, hours=24)


def test_recent_requests_of_users_are_found_whole_and_once(admin: TestClient) -> None:
    found = rows(admin, monitoring.query("recent", table=TABLE, hours=2, most=3))
    assert [json.loads(str(text)) for (text,) in found] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_nothing_asked_is_no_error(admin: TestClient) -> None:
    (found,) = rows(admin, monitoring.query("error_rate", table=TABLE, hours=0))
    assert [float(str(value)) for value in found] == [0, 0, 0]
