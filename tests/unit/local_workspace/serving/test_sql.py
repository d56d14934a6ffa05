"""The SQL statement API over real Delta tables."""

from __future__ import annotations

import resource
from typing import Any

import pyarrow
import pytest
from deltalake import write_deltalake

from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.sql import statements
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import rows, sql

TABLE = "main.scgpt.counts"


@pytest.fixture(autouse=True)
def table(admin: TestClient, workspace: Workspace) -> None:
    pa: Any = pyarrow
    data = pa.table(
        {
            "cell": ["a", "b", "c"],
            "n": pa.array([1, 2, None], pa.int64()),
            "body": ['{"x": {"y": 5}}', "no json", None],
            "at": pa.array([0, 3_600_000_000, None], pa.timestamp("us", tz="UTC")),
            "codes": pa.array([["E"], [], None], pa.list_(pa.string())),
        }
    )
    path = workspace.tables / TABLE
    write_deltalake(str(path), data)
    securables.register_table(
        workspace, TABLE, owner="admin@local.test", columns=[], storage_location=path.as_uri()
    )


def _error(client: TestClient, statement: str, **more: Any) -> str:
    found = sql(client, statement, **more)
    assert found["status"]["state"] == "FAILED", found
    assert "result" not in found
    return str(found["status"]["error"]["message"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("count(*)", "3"),
        ("sum(n)", "3"),
        ("avg(n)", "1.5"),
        ("count_if(n > 5)", "0"),
        ("count_if(n > 1)", "1"),
        ("max(get_json_object(body, '$.x.y'))", "5"),
        ("max(body:x.y)", "5"),
        ("max(date_trunc('HOUR', at))", "1970-01-01T01:00:00.000Z"),
        ("max(date_trunc('MONTH', '1969-12-31 10:00'))", "1969-12-01T00:00:00.000Z"),
        ("max(date_trunc('DAY', CAST(at AS DATE)))", "1970-01-01T00:00:00.000Z"),
        ("min(CAST(at AS DATE))", "1970-01-01"),
        ("max(size(codes))", "1"),
        ("percentile_approx(n, 1.0)", "2"),
        ("percentile_approx(n, 0.5)", "1"),  # a value that occurs
        ("percentile_approx(n, array(0.5, 1.0))[1]", "2"),
        ("count(DISTINCT cell) > 2", "true"),
        ("max(CASE WHEN n IS NULL THEN 'x' END)", "x"),
        ("sum(n) / 2", "1.5"),
        ("max(at) - INTERVAL 1 HOUR", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_the_dialect_is_that_of_databricks(admin: TestClient, expression: str, value: str) -> None:
    assert rows(admin, f"SELECT {expression} FROM {TABLE}") == [[value]]


def test_values_are_text_and_columns_are_described(admin: TestClient) -> None:
    found = sql(admin, f"SELECT * FROM {TABLE} ORDER BY cell")
    columns = found["manifest"]["schema"]["columns"]
    assert [(c["name"], c["type_name"], c["type_text"]) for c in columns] == [
        ("cell", "STRING", "STRING"),
        ("n", "LONG", "BIGINT"),
        ("body", "STRING", "STRING"),
        ("at", "TIMESTAMP", "TIMESTAMP"),
        ("codes", "ARRAY", "ARRAY<STRING>"),
    ]
    assert found["result"]["data_array"] == [
        ["a", "1", '{"x": {"y": 5}}', "1970-01-01T00:00:00.000Z", '["E"]'],
        ["b", "2", "no json", "1970-01-01T01:00:00.000Z", "[]"],
        ["c", None, None, None, None],
    ]
    assert found["manifest"]["total_row_count"] == 3


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("counts", {"catalog": "main", "schema": "scgpt"}),
        ("scgpt.counts", {"catalog": "main"}),
        ("`MAIN`.scgpt.`Counts`", {}),
    ],
)
def test_names_are_completed_from_catalog_and_schema(
    admin: TestClient, name: str, more: dict[str, str]
) -> None:
    assert rows(admin, f"SELECT count(*) FROM {name}", **more) == [["3"]]


def test_joins_common_tables_and_full_column_names(admin: TestClient) -> None:
    statement = f"""
        WITH counted AS (SELECT cell FROM {TABLE} WHERE n > 0)
        SELECT {TABLE}.cell FROM {TABLE} JOIN counted ON counted.cell = {TABLE}.cell
        UNION ALL SELECT 'z' ORDER BY 1
    """
    assert rows(admin, statement) == [["a"], ["b"], ["z"]]


def test_parameters_are_values_never_sql(admin: TestClient) -> None:
    statement = f"SELECT count(*) FROM {TABLE} WHERE cell = :cell AND n >= :n"
    n = {"name": "n", "value": "1", "type": "INT"}
    hit, miss = ({"name": "cell", "value": v} for v in ("a", "a' OR '1'='1"))
    assert rows(admin, statement, parameters=[hit, n]) == [["1"]]
    assert rows(admin, statement, parameters=[miss, n]) == [["0"]]
    assert "UNBOUND_SQL_PARAMETER" in _error(admin, statement, parameters=[hit])
    bad = {"name": "n", "value": "x", "type": "INT"}
    assert "x" in _error(admin, statement, parameters=[hit, bad])
    since = {"name": "t", "value": "1970-01-01T00:30:00Z", "type": "TIMESTAMP"}
    late = f"SELECT cell FROM {TABLE} WHERE at > :t"
    assert rows(admin, late, parameters=[since]) == [["b"]]


def test_now_is_the_clock_of_the_workspace(admin: TestClient) -> None:
    admin.put("/_local/clock", json={"offset_ms": 86_400_000 * 365_000})
    assert rows(admin, "SELECT year(current_timestamp()) > 2900, year(now()) > 2900") == [
        ["true", "true"]
    ]


def test_row_limit(admin: TestClient) -> None:
    found = sql(admin, f"SELECT cell FROM {TABLE} ORDER BY cell", row_limit=2)
    assert found["result"]["data_array"] == [["a"], ["b"]]
    assert found["manifest"]["truncated"] is True


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", "One statement"),
        (f"DROP TABLE {TABLE}", "the local workspace runs SELECT"),
        ("SELECT * FROM main.scgpt.nothing", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT * FROM nothing", "catalog.schema.table"),
        (f"SELECT missing FROM {TABLE}", "missing"),
        (f"SELECT from_json(body, 'x INT') FROM {TABLE}", "get_json_object"),
        ("SELECT * FROM read_csv('/etc/passwd')", "Table functions"),
        ("SELECT * FROM read_text('/etc/passwd')", "Table functions"),
        ("SELECT * FROM '/etc/passwd'", "catalog.schema.table"),
        ("SELECT * FROM csv.`/etc/passwd`", "catalog.schema.table"),
        ("SELECT * FROM main.scgpt.`../../store.sqlite`", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT * FROM workspace", "catalog.schema.table"),
    ],
)
def test_a_statement_that_fails_is_an_answer(admin: TestClient, statement: str, words: str) -> None:
    assert words in _error(admin, statement)


def test_select_needs_the_grant_on_the_table_and_the_way_to_it(as_: As) -> None:
    admin, reader = as_("admin"), as_("reader")
    statement = f"SELECT count(*) FROM {TABLE}"
    grants = "/api/2.1/unity-catalog/permissions"
    for path, privilege in (("schema/main.scgpt", "USE_SCHEMA"), (f"table/{TABLE}", "SELECT")):
        assert "INSUFFICIENT_PERMISSIONS" in _error(reader, statement)
        body = {"changes": [{"principal": "scientists", "add": [privilege]}]}
        assert admin.patch(f"{grants}/{path}", json=body).status_code == 200
    assert rows(reader, statement) == [["3"]]


def test_a_result_too_large_for_one_answer_fails(admin: TestClient) -> None:
    assert "Inline byte limit" in _error(admin, "SELECT repeat('a', 27000000)")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT repeat('a', 2000000000)",
        "SELECT length(repeat('a', 2000000000))",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 10000))",
        "SELECT concat(a, a, a) FROM (SELECT repeat('a', 900000000) AS a)",
        f"SELECT string_agg(repeat(cell, 100000000)) FROM {TABLE}",
    ],
)
def test_no_value_takes_more_memory_than_a_statement_has(admin: TestClient, statement: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = _error(admin, statement)
    assert "[OUT_OF_MEMORY] The statement needs more than 2 GiB" in error
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 200 << 10
    assert rows(admin, f"SELECT count(*) FROM {TABLE}") == [["3"]]


def test_a_statement_that_is_nested_too_deeply_is_told(admin: TestClient) -> None:
    error = _error(admin, f"SELECT {'(' * 3000}1{')' * 3000}")
    assert error == "[PARSE_SYNTAX_ERROR] The statement is nested too deeply to be read."


def test_old_results_are_given_up_when_all_are_too_large(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_KEPT_SIZE", 15)
    found = [sql(admin, "SELECT repeat('a', 10)")["statement_id"] for _ in range(2)]
    states = [
        admin.get(f"/api/2.0/sql/statements/{one}").json()["status"]["state"] for one in found
    ]
    assert states == ["CLOSED", "SUCCEEDED"]
    assert admin.get(f"/api/2.0/sql/statements/{found[0]}/result/chunks/0").status_code == 404


def test_an_error_has_no_colours(admin: TestClient) -> None:
    error = _error(admin, "SELECT (1 + FROM x WHERE")
    assert error.startswith("[PARSE_SYNTAX_ERROR]")
    assert "\x1b" not in error


SLOW = f"SELECT count(*) FROM {', '.join(f'{TABLE} t{i}' for i in range(30))}"


def test_a_long_statement_goes_on_and_can_be_cancelled(admin: TestClient) -> None:
    started = sql(admin, SLOW, wait_timeout="0s")
    assert started["status"]["state"] in ("PENDING", "RUNNING")
    path = f"/api/2.0/sql/statements/{started['statement_id']}"
    assert admin.get(path).json()["status"]["state"] == "RUNNING"
    admin.post(f"{path}/cancel")
    assert admin.get(path).json()["status"]["state"] == "CANCELED"


def test_results_can_be_fetched_later_by_their_owner(as_: As) -> None:
    admin, reader = as_("admin"), as_("reader")
    found = sql(admin, f"SELECT cell FROM {TABLE}")
    path = f"/api/2.0/sql/statements/{found['statement_id']}"
    assert admin.get(path).json() == found
    assert admin.get(f"{path}/result/chunks/0").json() == found["result"]
    assert admin.get(f"{path}/result/chunks/1").status_code == 404
    assert reader.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"wait_timeout": "60s"},
        {"wait_timeout": "3s"},
        {"disposition": "EXTERNAL_LINKS"},
        {"format": "ARROW_STREAM"},
        {"row_limit": 0},
        {"warehouse_id": ""},
    ],
)
def test_bad_requests(admin: TestClient, body: dict[str, Any]) -> None:
    known = {"warehouse_id": "0123456789abcdef", "statement": "SELECT 1"}
    answer = admin.post("/api/2.0/sql/statements", json={**known, **body})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_there_is_one_warehouse(admin: TestClient) -> None:
    (warehouse,) = admin.get("/api/2.0/sql/warehouses").json()["warehouses"]
    assert warehouse["state"] == "RUNNING"
    assert admin.get(f"/api/2.0/sql/warehouses/{warehouse['id']}").json() == warehouse
    assert admin.get("/api/2.0/sql/warehouses/other").status_code == 404
    (source,) = admin.get("/api/2.0/preview/sql/data_sources").json()
    assert source["warehouse_id"] == warehouse["id"]
