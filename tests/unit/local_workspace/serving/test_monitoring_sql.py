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
from scgpt_databricks.infra.monitoring.tables import TABLES
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.infra.settings import Monitoring
from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import inference
from scgpt_databricks.scripts.monitoring.delta import arrow_schema
from scgpt_databricks.scripts.monitoring.error_rate import error_rate
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.kit import rows, sql, statements

TABLE = "main.scgpt.scgpt_inference_payload"
WAREHOUSE = "0123456789abcdef"
NOW = datetime.now(UTC)

# Minutes ago, status, milliseconds, served entity, requester, code; the last is delivered twice.
REQUESTS = [
    (1, 200, 100, "e1", "ann", []),
    (2, 500, 6000, "e2", "bob", []),
    (3, 400, 20, "e1", "bob", []),
    (90, 200, 9000, "e1", "ann", ["MAX_RESPONSE_SIZE_EXCEEDED"]),
    (60 * 20, 503, 40, "e1", "cyd", []),
    (60 * 24 * 9, 500, 7000, "e1", "ann", []),
    (5, 504, 300, "e2", "ann", []),
]
WITHIN_A_WEEK = len(REQUESTS) - 1

# Minutes ago, status, milliseconds, version, reason, cells, tokens, matched, unknown, truncated.
UNPACKED = [
    (1, 200, 100, 1, None, 2, 200, 198, 2, 1),
    (2, 200, 3000, 2, None, 10, 1000, 900, 100, 0),
    (3, 400, 20, 1, "not_counts", None, None, None, None, None),
    (4, 400, 20, 1, "not_counts", None, None, None, None, None),
    (5, 200, 9000, 1, "response_not_logged", None, None, None, None, None),
]


def ago(minutes: float) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes)
    return {"request_time": at, "request_date": at.date()}


def put(workspace: Workspace, kind: str, rows_: list[dict[str, Any]], schema: Any) -> None:
    pa: Any = pyarrow
    name = beside(TABLE, kind)
    path = workspace.tables / name
    write_deltalake(str(path), pa.Table.from_pylist(rows_, schema=schema))
    securables.register_table(
        workspace, name, owner="admin@local.test", columns=[], storage_location=path.as_uri()
    )


@pytest.fixture(autouse=True)
def table(admin: TestClient, workspace: Workspace) -> None:
    numbered = [*enumerate(REQUESTS), (len(REQUESTS) - 1, REQUESTS[-1])]
    data = [
        {
            "databricks_request_id": str(number),
            **ago(minutes),
            "status_code": status,
            "execution_duration_ms": spent,
            "served_entity_id": entity,
            "requester": who,
            "logging_error_codes": codes,
            "request": json.dumps({"n": number}),
            "response": None if codes else "{}",
        }
        for number, (minutes, status, spent, entity, who, codes) in numbered
    ]
    # A canary repeats requests, which are none of the users'.
    data.append({**data[1], "databricks_request_id": "r", "client_request_id": "scgpt-replay-1"})
    put(workspace, "payload", data, inference.SCHEMA)
    fields = ("status_code", "execution_duration_ms", "version", "reason", "cells", "tokens")
    genes = ("matched_genes", "unknown_genes", "truncated_cells")
    unpacked = [
        {
            "databricks_request_id": str(number),
            **ago(minutes),
            **dict(zip((*fields, *genes), row, strict=True)),
            "requester": "ann",
            "request_bytes": 10,
        }
        for number, (minutes, *row) in enumerate(UNPACKED)
    ]
    unpacked.append(
        {**unpacked[1], "databricks_request_id": "r", "client_request_id": "scgpt-replay-1"}
    )
    put(workspace, "requests", unpacked, arrow_schema(TABLES["requests"]))
    looks = [("m-1", 10, True), ("m-1", 70, False), ("m-2", 10, False), ("m-3", 600, True)]
    put(
        workspace,
        "status",
        [
            {"looked_at": NOW - timedelta(minutes=age), "served_entity": who, "is_fallback": on_cpu}
            for who, age, on_cpu in looks
        ],
        arrow_schema(TABLES["status"]),
    )
    found = [(10, "input", True), (10, "composition", False), (8000, "embedding", True)]
    put(
        workspace,
        "drift",
        [
            {
                "looked_at": NOW - timedelta(minutes=age),
                "served_entity": "m-1",
                "cause": cause,
                "alarm": alarm,
            }
            for age, cause, alarm in found
        ],
        arrow_schema(TABLES["drift"]),
    )


def asked(admin: TestClient, key: str, **values: int) -> list[dict[str, str | None]]:
    """The rows of a file, by column."""
    found = sql(admin, monitoring.query(key, table=TABLE, **values))
    assert found["status"]["state"] == "SUCCEEDED", found["status"]
    names = [column["name"] for column in found["manifest"]["schema"]["columns"]]
    data = found.get("result", {}).get("data_array", [])
    return [dict(zip(names, row, strict=True)) for row in data]


FIRES = {
    "error_rate": 2 / 5,
    "slow": 3.0,
    "volume": 1.0,
    "versions": 1,
    "device_fallback": 1,
    "drift": 1,
}
"""Key of an alert -> the value that its query finds here."""


@pytest.mark.parametrize("alert", monitoring.ALERTS, ids=lambda alert: alert.key)
def test_every_alert_finds_its_column_in_one_row(
    admin: TestClient, alert: monitoring.Alert
) -> None:
    (found,) = asked(admin, alert.sql, **alert.values)
    assert float(str(found[alert.column])) == pytest.approx(FIRES[alert.key], rel=0.01)


@pytest.mark.parametrize("alert", monitoring.ALERTS, ids=lambda alert: alert.key)
def test_no_alert_fires_where_nothing_was_asked(admin: TestClient, alert: monitoring.Alert) -> None:
    kinds = ("payload", "requests", "status", "drift")
    for kind in kinds:
        assert rows(admin, f"DELETE FROM {beside(TABLE, kind)}")
    (found,) = asked(admin, alert.sql, **alert.values)
    assert float(str(found[alert.column])) <= Monitoring().threshold(alert.threshold)


def test_every_tile_finds_its_columns(admin: TestClient) -> None:
    for tile in monitoring.TILES:
        found = asked(admin, tile.sql, **tile.values)
        assert {tile.x, tile.y} <= found[0].keys(), tile.key
        assert all(str(row[tile.x]).endswith(":00:00.000Z") for row in found)


def test_the_guides_four_queries_count_each_request_once(admin: TestClient) -> None:
    recent = asked(admin, "recent_requests", hours=168, most=100)
    assert [row["databricks_request_id"] for row in recent] == ["0", "1", "2", "6", "3", "4"]
    assert [row["logging_errors"] for row in recent][4] == "MAX_RESPONSE_SIZE_EXCEEDED"
    assert recent[4]["response_characters"] is None
    days = asked(admin, "per_day", hours=720)
    assert sum(int(str(day["requests"])) for day in days) == len(REQUESTS)
    assert sum(int(str(day["errors"])) for day in days) == 5
    assert [days[-1]["served_entities"], days[-1]["requesters"]] == ["1", "1"]
    assert [days[-1][f"p{share}_ms"] for share in (50, 95, 99)] == ["7000"] * 3
    assert days == sorted(days, key=lambda day: str(day["day"]), reverse=True)
    slow = asked(admin, "slow_requests", hours=24, above_ms=5000, most=20)
    assert [row["execution_duration_ms"] for row in slow] == ["9000", "6000"]
    errors = {row["status_code"]: row for row in asked(admin, "errors_by_status", hours=168)}
    assert {code: row["requests"] for code, row in errors.items()} == {
        "400": "1",
        "500": "1",
        "503": "1",
        "504": "1",
    }
    assert json.loads(str(errors["504"]["sample_request_ids"])) == ["6"]
    assert json.loads(str(errors["504"]["served_entity_ids"])) == ["e2"]


def test_cells_are_counted_by_version_and_unknown_ones_are_not_guessed(admin: TestClient) -> None:
    found = asked(admin, "kpi", hours=2)
    by_version = {
        version: [row for row in found if row["version"] == version] for version in ("1", "2")
    }

    def total(version: str, column: str) -> int:
        return sum(int(str(row[column])) for row in by_version[version])

    columns = ("requests", "refused", "not_known", "cells", "tokens", "truncated_cells")
    assert [total("1", column) for column in columns] == [4, 2, 1, 2, 200, 1]
    assert [total("2", column) for column in columns] == [1, 0, 0, 10, 1000, 0]
    coverage = [float(str(row["coverage"])) for row in by_version["2"]]
    assert coverage == [pytest.approx(0.9)]
    (refusal,) = asked(admin, "refusals", hours=2)
    assert (refusal["reason"], refusal["requests"]) == ("not_counts", "2")


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
