"""``ai_query``: a statement asks an endpoint about each of its rows."""

from __future__ import annotations

import json

import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving import kit
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import rows, sql

TABLE = "main.scgpt.cells"
KIND = "'STRUCT<vector: ARRAY<FLOAT>, record: STRUCT<packed: STRING>, nothing: INT>'"
ASK = f"ai_query('e', named_struct('packed', packed), returnType => {KIND})"


@pytest.fixture(autouse=True)
def table(admin: TestClient) -> None:
    kit.create(admin)
    rows(admin, f"CREATE TABLE {TABLE} (cell STRING, packed STRING)")
    rows(admin, f"INSERT INTO {TABLE} VALUES ('a', 'A'), ('b', 'B')")


def error(client: TestClient, statement: str) -> str:
    found = sql(client, statement)
    assert found["status"]["state"] == "FAILED", found
    return str(found["status"]["error"]["message"])


def test_each_row_is_asked_and_answered_as_the_type_that_was_named(admin: TestClient) -> None:
    found = rows(admin, f"SELECT cell, {ASK} FROM {TABLE} ORDER BY cell")
    assert [row[0] for row in found] == ["a", "b"]
    assert [json.loads(row[1] or "") for row in found] == [
        {"vector": [0.5, 2.0], "record": {"packed": packed}, "nothing": None} for packed in "AB"
    ]


def test_fields_of_answers_fill_another_table(admin: TestClient) -> None:
    rows(admin, "CREATE TABLE main.scgpt.vectors (cell STRING, vector ARRAY<FLOAT>)")
    asked = f"SELECT cell, {ASK} AS answer FROM {TABLE}"
    done = rows(admin, f"INSERT INTO main.scgpt.vectors SELECT cell, answer.vector FROM ({asked})")
    assert done == [["2", "2"]]
    found = rows(admin, f"SELECT vector[1] FROM main.scgpt.vectors JOIN {TABLE} USING (cell)")
    assert found == [["2.0"], ["2.0"]]
    assert rows(admin, f"SELECT s.answer.record.packed FROM ({asked}) s ORDER BY 1")[0] == ["A"]


def test_a_row_that_fails_ends_the_statement_or_is_a_value(admin: TestClient) -> None:
    bad = "ai_query('e', named_struct('bad', cell), 'STRING', {})"
    words = "[AI_FUNCTION_HTTP_REQUEST_ERROR] ai_query: e answered 400: no column cell_id"
    assert error(admin, f"SELECT {bad.format('true')} FROM {TABLE}") == words
    asked = f"SELECT {bad.format('false')} AS answer FROM {TABLE}"
    statement = f"SELECT answer.result, answer.errorMessage FROM ({asked}) LIMIT 1"
    assert rows(admin, statement) == [[None, words]]
    good = ASK.replace(KIND, f"{KIND}, failOnError => false")
    asked = f"SELECT {good} AS answer FROM {TABLE}"
    statement = f"SELECT answer.result.record.packed, answer.errorMessage FROM ({asked}) ORDER BY 1"
    assert rows(admin, statement) == [["A", None], ["B", None]]


WRONG = [
    ("ai_query('e', packed, 'STRING')", "no struct"),
    ("ai_query('e', named_struct('lines', 3), 'STRING')", "3 answers for one row"),
    ("ai_query('nobody', named_struct('packed', packed), 'STRING')", "answered 404"),
    ("ai_query('e', named_struct('packed', packed))", "returnType must be given"),
    ("ai_query('e', named_struct('packed', packed), 'NO TYPE')", "is no type"),
    ("ai_query(cell, named_struct('packed', packed), 'STRING')", "a literal text"),
    ("ai_query('e', returnType => 'STRING')", "the request is missing"),
    ("ai_query('e', packed, modelParameters => named_struct('a', 1))", "allowed"),
    ("ai_query('e', packed, 'STRING', cell)", "true or false"),
    ("ai_query('e', packed, 'STRING', true, 1)", "allowed"),
]


def test_what_cannot_be_asked(admin: TestClient) -> None:
    for call, words in WRONG:  # one endpoint for all: it takes a second to start
        assert words in error(admin, f"SELECT {call} FROM {TABLE}")


def test_it_asks_with_the_rights_of_the_caller(as_: As) -> None:
    admin, reader = as_("admin"), as_("reader")
    call = f"SELECT {ASK.replace('packed)', repr('x') + ')')}"
    assert "answered 403" in error(reader, call)
    endpoint = admin.get(f"{kit.BASE}/e").json()["id"]
    entry = {"group_name": "scientists", "permission_level": "CAN_QUERY"}
    path = f"/api/2.0/permissions/serving-endpoints/{endpoint}"
    assert admin.patch(path, json={"access_control_list": [entry]}).status_code == 200
    assert len(rows(reader, call)) == 1


def test_the_statements_of_the_example_run(admin: TestClient) -> None:
    rows(admin, "CREATE TABLE main.scgpt.named (cell_id STRING, packed STRING)")
    rows(admin, "INSERT INTO main.scgpt.named VALUES ('a', 'A'), ('b', 'B')")
    text = (ROOT / "examples" / "clients" / "ai_query.sql").read_text()
    text = text.replace("'scgpt-serving'", "'e'").replace("scgpt.cells", "scgpt.named")
    *made, last = [rows(admin, each) for each in text.split(";\n") if each.strip()]
    assert made == [[], [["2", "2"]]]
    assert last == [["2", "0", "0"]]  # this server says no digest


def test_a_view_cannot_ask(admin: TestClient) -> None:
    assert "no ai_query in a view" in error(
        admin, f"CREATE VIEW main.scgpt.v AS SELECT {ASK} AS a FROM {TABLE}"
    )
