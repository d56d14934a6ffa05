"""One row for each request, once, also over a kill; caps, delay, duplicates, rights."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import Any

import pytest
from deltalake import DeltaTable

from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import inference
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As, Running
from tests.unit.local_workspace.serving.kit import BASE, BUILDER, config, create, query, rows, wait

TABLE = "main.scgpt.t_payload"
COUNT = f"SELECT count(*) FROM {TABLE}"


def _gateway(**more: Any) -> dict[str, Any]:
    place = {"catalog_name": "main", "schema_name": "scgpt", "table_name_prefix": "t"}
    return {"inference_table_config": {"enabled": True, **place, **more}}


def _column(admin: TestClient, name: str) -> list[str | None]:
    found = rows(admin, f"SELECT {name} FROM {TABLE} ORDER BY request_time")
    return [row[0] for row in found]


def test_a_row_says_what_was_asked_and_answered(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    before = datetime.now(UTC)
    answer = query(admin, {"inputs": [1], "client_request_id": "mine"})
    query(admin, {"bad": 1})
    statement = f"SELECT * FROM {TABLE} ORDER BY status_code"
    first, second = rows(admin, statement)
    row = dict(zip(inference.SCHEMA.names, first, strict=True))
    assert row["databricks_request_id"] == answer.headers["x-request-id"]
    assert row["client_request_id"] == "mine"
    assert row["status_code"] == "200"
    assert json.loads(str(row["request"]))["inputs"] == [1]
    assert row["response"] == answer.text
    assert row["logging_error_codes"] == "[]"
    assert row["sampling_fraction"] == "1.0"
    assert row["requester"] == "admin@local.test"
    assert len(str(row["served_entity_id"])) == 32
    assert str(row["request_time"])[:10] == row["request_date"] == f"{before:%Y-%m-%d}"
    assert second[inference.SCHEMA.names.index("status_code")] == "400"


def test_long_bodies_are_null_with_a_code(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    query(admin, {"pad": "x" * inference.FIELD_LIMIT})
    query(admin, {"length": inference.FIELD_LIMIT})
    query(admin)
    assert _column(admin, "logging_error_codes") == [
        # The stand-in answers with what it got.
        '["MAX_REQUEST_SIZE_EXCEEDED", "MAX_RESPONSE_SIZE_EXCEEDED"]',
        '["MAX_RESPONSE_SIZE_EXCEEDED"]',
        "[]",
    ]
    assert [value is None for value in _column(admin, "request")] == [True, False, False]
    assert [value is None for value in _column(admin, "response")] == [True, True, False]


def test_rows_come_after_the_delay_and_as_often_as_asked(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    admin.put("/_local/settings/inference", json={"delay_s": 600, "duplicates": 1})
    query(admin)
    query(admin)
    assert rows(admin, COUNT) == [["0"]]
    admin.put("/_local/clock", json={"offset_ms": 600_000})
    assert rows(admin, COUNT) == [["4"]]
    distinct = f"SELECT count(DISTINCT databricks_request_id) FROM {TABLE}"
    assert rows(admin, distinct) == [["2"]]


def test_some_rows_come_twice_when_duplicates_is_a_fraction(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    admin.put("/_local/settings/inference", json={"duplicates": 0.25})
    for _ in range(8):
        query(admin)
    assert rows(admin, COUNT) == [["10"]]


def test_a_kill_loses_no_row_and_writes_none_twice(app: Running, workspace: Workspace) -> None:
    admin = app.client("admin")
    create(admin, ai_gateway=_gateway())
    admin.put("/_local/settings/inference", json={"delay_s": 600})
    for _ in range(3):
        query(admin)
    waiting = workspace.store.items("inference_rows")
    admin.put("/_local/settings/inference", json={})
    assert rows(admin, COUNT) == [["3"]]
    assert workspace.store.items("inference_rows") == []
    for key, row in waiting:  # killed after the commit, before the store forgot the rows
        workspace.store.put("inference_rows", key, row)
    app.restart()
    assert rows(app.client("admin"), COUNT) == [["3"]]
    query(app.client("admin"))
    assert rows(app.client("admin"), COUNT) == [["4"]]


def test_the_table_is_one_of_unity_catalog(as_: As, workspace: Workspace) -> None:
    builder = as_("builder")
    create(builder, ai_gateway=_gateway())
    found = as_("admin").get(f"/api/2.1/unity-catalog/tables/{TABLE}").json()
    assert (found["table_type"], found["data_source_format"]) == ("MANAGED", "DELTA")
    assert found["owner"] == BUILDER
    assert [column["name"] for column in found["columns"]] == inference.SCHEMA.names
    metadata = DeltaTable(str(workspace.tables / TABLE)).metadata()
    assert metadata.configuration["delta.enableChangeDataFeed"] == "true"


def test_the_entity_of_a_row_can_be_looked_up(as_: As) -> None:
    admin = as_("admin")
    create(admin, ai_gateway=_gateway(), config=config((1, 50), (2, 50)))
    query(admin)
    query(admin)
    statement = f"""
        SELECT e.entity_name, e.entity_version, e.endpoint_delete_time IS NULL, count(*)
        FROM {TABLE} t JOIN system.serving.served_entities e USING (served_entity_id)
        GROUP BY ALL ORDER BY 2
    """
    assert rows(admin, statement) == [
        ["main.scgpt.m", "1", "true", "1"],
        ["main.scgpt.m", "2", "true", "1"],
    ]
    assert rows(as_("reader"), "SELECT * FROM system.serving.served_entities") == []
    admin.delete(f"{BASE}/e")
    assert rows(admin, statement)[0][2] == "false"


@pytest.mark.parametrize(
    ("place", "status"),
    [({"catalog_name": "nowhere"}, 404), ({"schema_name": "nowhere"}, 404)],
)
def test_catalog_and_schema_must_exist(
    admin: TestClient, place: dict[str, str], status: int
) -> None:
    body = {"name": "e", "config": config((1, 100)), "ai_gateway": _gateway(**place)}
    answer = admin.post(BASE, json=body)
    assert answer.status_code == status
    assert "nowhere" in answer.json()["message"]
    assert admin.get(f"{BASE}/e").status_code == 404


def test_the_creator_must_be_allowed_to_make_a_table(as_: As) -> None:
    admin, builder = as_("admin"), as_("builder")
    gone = {"changes": [{"principal": BUILDER, "remove": ["CREATE_TABLE"]}]}
    admin.patch("/api/2.1/unity-catalog/permissions/catalog/main", json=gone)
    body = {"name": "e", "config": config((1, 100)), "ai_gateway": _gateway()}
    refused = builder.post(BASE, json=body)
    assert refused.status_code == 403
    assert "CREATE TABLE" in refused.json()["message"]


def test_an_enabled_table_cannot_move_and_can_be_switched_off(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    query(admin)
    moved = _gateway(table_name_prefix="other")
    refused = admin.put(f"{BASE}/e/ai-gateway", json=moved)
    assert refused.status_code == 400
    assert "Disable it first" in refused.json()["message"]
    off = _gateway()
    del off["inference_table_config"]["enabled"]
    assert admin.put(f"{BASE}/e/ai-gateway", json=off).json() == off
    query(admin)
    assert rows(admin, COUNT) == [["1"]]
    assert admin.put(f"{BASE}/e/ai-gateway", json=moved).status_code == 200


def test_a_table_of_somebody_else_is_refused_that_of_a_namesake_goes_on(admin: TestClient) -> None:
    create(admin, ai_gateway=_gateway())
    query(admin)
    body = {"name": "other", "config": config((1, 100)), "ai_gateway": _gateway()}
    refused = admin.post(BASE, json=body)
    assert (refused.status_code, "exists already" in refused.json()["message"]) == (400, True)
    admin.delete(f"{BASE}/e")
    create(admin, ai_gateway=_gateway())
    query(admin)
    assert rows(admin, COUNT) == [["2"]]


def test_queries_go_on_when_the_table_was_dropped(admin: TestClient, workspace: Workspace) -> None:
    create(admin, ai_gateway=_gateway())
    assert admin.delete(f"/api/2.1/unity-catalog/tables/{TABLE}").status_code == 200
    shutil.rmtree(workspace.tables / TABLE, ignore_errors=True)
    assert query(admin).status_code == 200
    assert wait(admin, "e")["state"]["ready"] == "READY"
