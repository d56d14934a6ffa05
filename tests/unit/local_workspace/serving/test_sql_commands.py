"""CREATE TABLE, CREATE VIEW, INSERT and DELETE over real Delta tables, with the caller's grants."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deltalake import DeltaTable, write_deltalake

from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import rows, sql

TABLE = "main.scgpt.looks"
UNITY = "/api/2.1/unity-catalog"
CREATE = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
      at TIMESTAMP NOT NULL COMMENT 'when', day DATE, entity STRING, version INT, cells BIGINT,
      coverage DOUBLE, is_odd BOOLEAN, vector ARRAY<FLOAT>, genes ARRAY<STRING>, raw BINARY
    ) USING DELTA COMMENT 'all the types'
"""


def done(client: TestClient, statement: str) -> None:
    assert sql(client, statement)["status"]["state"] == "SUCCEEDED", sql(client, statement)


def error(client: TestClient, statement: str) -> str:
    found = sql(client, statement)
    assert found["status"]["state"] == "FAILED", found
    return str(found["status"]["error"]["message"])


def test_a_table_is_made_once_and_may_be_written_from_outside(admin: TestClient) -> None:
    done(admin, CREATE)
    done(admin, CREATE)
    assert "ALREADY_EXISTS" in error(admin, CREATE.replace("IF NOT EXISTS", ""))
    told = admin.get(f"{UNITY}/tables/{TABLE}").json()
    assert [column["type_text"] for column in told["columns"]][-3:] == [
        "array<float>",
        "array<string>",
        "binary",
    ]
    folder = Path(urlsplit(told["storage_location"]).path)
    schema = DeltaTable(folder).to_pyarrow_dataset().schema
    write_deltalake(folder, schema.empty_table(), mode="append")
    assert rows(admin, f"SELECT count(*) FROM {TABLE}") == [["0"]]


def test_rows_are_inserted_by_values_and_by_queries_and_deleted(admin: TestClient) -> None:
    done(admin, CREATE)
    values = "(current_timestamp(), DATE'2026-11-01', 'm-1', 1, 7000000000, 0.5, true)"
    inserted = rows(
        admin,
        f"INSERT INTO {TABLE} (at, day, entity, version, cells, coverage, is_odd) VALUES {values}",
    )
    assert inserted == [["1", "1"]]
    again = f"INSERT INTO {TABLE} SELECT * FROM {TABLE}"
    assert rows(admin, again) == [["1", "1"]]
    assert (
        rows(admin, f"SELECT cells, coverage, vector FROM {TABLE}")
        == [["7000000000", "0.5", None]] * 2
    )
    nothing = f"DELETE FROM {TABLE} WHERE day < DATE'2026-11-01' OR entity = 'it''s'"
    assert rows(admin, nothing) == [["0", "0"]]
    old = f"DELETE FROM {TABLE} WHERE at < current_timestamp() - INTERVAL 90 DAYS"
    assert rows(admin, old) == [["0", "0"]]
    assert rows(admin, f"DELETE FROM {TABLE} WHERE day < current_date() AND {TABLE}.cells > 1")
    assert rows(admin, f"SELECT count(*) FROM {TABLE}") == [["0"]]


def test_a_view_reads_with_the_rights_of_its_owner(as_: As, admin: TestClient) -> None:
    done(admin, CREATE)
    done(admin, f"INSERT INTO {TABLE} (entity, cells) VALUES ('m-1', 3), ('m-2', 4)")
    view = "main.scgpt.counts"
    done(admin, f"CREATE VIEW {view} AS SELECT entity, sum(cells) AS n FROM {TABLE} GROUP BY 1")
    text = f"SELECT c.entity, n FROM {view} c JOIN {TABLE} USING (entity) ORDER BY 1"
    assert rows(admin, text) == [["m-1", "3"], ["m-2", "4"]]
    assert admin.get(f"{UNITY}/tables/{view}").json()["table_type"] == "VIEW"
    grant = {"changes": [{"principal": "reader@local.test", "add": ["SELECT"]}]}
    above = {"changes": [{"principal": "reader@local.test", "add": ["USE_SCHEMA"]}]}
    reader = as_("reader")
    assert "INSUFFICIENT_PERMISSIONS" in error(reader, f"SELECT * FROM {view}")
    assert admin.patch(f"{UNITY}/permissions/schema/main.scgpt", json=above).status_code == 200
    assert admin.patch(f"{UNITY}/permissions/table/{view}", json=grant).status_code == 200
    assert len(rows(reader, f"SELECT * FROM {view}")) == 2
    assert "INSUFFICIENT_PERMISSIONS" in error(reader, f"SELECT * FROM {TABLE}")
    other = f"CREATE OR REPLACE VIEW {view} AS SELECT 1 AS x"
    assert "CREATE TABLE" in error(reader, other)
    done(admin, other)
    assert rows(admin, f"SELECT * FROM {view}") == [["1"]]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"INSERT INTO {TABLE} (colour) VALUES (1)", "no column colour"),
        (f"INSERT INTO {TABLE} (entity, cells) VALUES ('m')", "2 columns"),
        (f"INSERT INTO {TABLE} (cells) VALUES ('many')", "CAST_INVALID_INPUT"),
        ("INSERT INTO main.scgpt.nowhere VALUES (1)", "does not exist"),
        (f"INSERT OVERWRITE {TABLE} SELECT * FROM {TABLE}", "no INSERT OVERWRITE"),
        ("DELETE FROM main.scgpt.nowhere", "does not exist"),
        (f"DELETE FROM {TABLE} WHERE cells IN (SELECT 1)", "subquery"),
        (f"DELETE FROM {TABLE} WHERE colour = 1", "colour"),
        ("CREATE TABLE main.nowhere.t (a INT)", "does not exist"),
        ("CREATE TABLE main.scgpt.t (a INTERVAL)", "UNSUPPORTED_DATATYPE"),
        ("CREATE TABLE main.scgpt.t AS SELECT 1 AS a", "another CREATE TABLE"),
        ("CREATE TABLE t (a INT)", "name it catalog.schema.table"),
        ("CREATE FUNCTION main.scgpt.f() RETURN 1", "another CREATE FUNCTION"),
        ("CREATE VIEW main.scgpt.v AS SELECT * FROM main.scgpt.v", "reads itself"),
        ("CREATE VIEW main.scgpt.v AS SELECT * FROM main.scgpt.nowhere", "does not exist"),
        (f"CREATE OR REPLACE VIEW {TABLE} AS SELECT 1 AS a", "already exists"),
        (f"DROP TABLE {TABLE}", "UNSUPPORTED_FEATURE"),
        (f"UPDATE {TABLE} SET cells = 1", "UNSUPPORTED_FEATURE"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    admin: TestClient, statement: str, said: str
) -> None:
    done(admin, CREATE)
    done(admin, f"INSERT INTO {TABLE} (cells) VALUES (1)")
    assert said in error(admin, statement)
    assert rows(admin, f"SELECT count(*) FROM {TABLE}") == [["1"]]


def test_changes_take_privileges(as_: As, admin: TestClient) -> None:
    done(admin, CREATE)
    reader = as_("reader")
    above = {"changes": [{"principal": "reader@local.test", "add": ["USE_SCHEMA", "SELECT"]}]}
    assert admin.patch(f"{UNITY}/permissions/schema/main.scgpt", json=above).status_code == 200
    assert "MODIFY" in error(reader, f"DELETE FROM {TABLE}")
    assert "MODIFY" in error(reader, f"INSERT INTO {TABLE} (cells) VALUES (1)")
    assert "CREATE TABLE" in error(reader, CREATE.replace("looks", "mine"))
