"""Saved queries: kept as given, changed field by field, guarded by their access lists."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sdk.service.sql import QueriesAPI

from tests.unit.local_workspace.conftest import As, TestClient

WAREHOUSE = "0123456789abcdef"
BASE = "/api/2.0/sql/queries"
GIVEN = {
    "display_name": "requests",
    "query_text": "SELECT 1",
    "warehouse_id": WAREHOUSE,
    "parent_path": "/Workspace/Shared",
    "description": "d",
    "tags": ["a"],
}


def send(client: TestClient, method: str, path: str, query: Any = None, **more: Any) -> Any:
    body = None if query is None else {"query": query, **more}
    return client.request(method, path, json=body)


def made(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = send(client, "POST", BASE, GIVEN | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_query_from_creation_to_the_trash(admin: TestClient) -> None:
    found = made(admin)
    assert {key: found[key] for key in GIVEN} == GIVEN
    assert (found["owner_user_name"], found["run_as_mode"]) == ("admin@local.test", "OWNER")
    path = f"{BASE}/{found['id']}"
    change = {"display_name": "others", "query_text": "SELECT 2", "warehouse_id": WAREHOUSE}
    mask = "display_name,query_text,warehouse_id,description"
    after = send(admin, "PATCH", path, change, update_mask=mask).json()
    assert (after["display_name"], after["query_text"]) == ("others", "SELECT 2")
    assert "description" not in after, "named and not given: cleared"
    assert after["tags"] == ["a"], "not named: kept"
    assert [each["id"] for each in admin.get(BASE).json()["results"]] == [found["id"]]
    listed = admin.get("/api/2.0/workspace/list?path=/Shared").json()["objects"]
    assert [(each["path"], each["object_type"]) for each in listed] == [
        ("/Shared/others.dbquery.ipynb", "QUERY")
    ]
    assert admin.delete(path).status_code == 200
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"query_text": ""}, 400, "query.query_text"),
        ({"warehouse_id": "gone"}, 404, "gone"),
        ({"parent_path": "/Shared/nowhere"}, 404, "doesn't exist"),
    ],
)
def test_a_query_that_cannot_be_is_refused(
    admin: TestClient, more: dict[str, Any], status: int, said: str
) -> None:
    answer = send(admin, "POST", BASE, GIVEN | more)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_two_of_one_name_do_not_lie_in_one_folder(admin: TestClient) -> None:
    made(admin)
    assert "already exists" in send(admin, "POST", BASE, GIVEN).text
    other = made(admin, display_name="other")
    mask = {"update_mask": "display_name"}
    path = f"{BASE}/{other['id']}"
    assert send(admin, "PATCH", path, GIVEN, **mask).status_code == 400
    assert send(admin, "PATCH", path, GIVEN, update_mask="id").status_code == 400


def test_others_need_a_level(admin: TestClient, as_: As) -> None:
    path, reader = f"{BASE}/{made(admin)['id']}", as_("reader")
    assert reader.get(path).status_code == 403
    assert reader.get(BASE).json()["results"] == []
    entry = {"user_name": "reader@local.test", "permission_level": "CAN_RUN"}
    levels = f"/api/2.0/permissions{path.removeprefix('/api/2.0')}"
    answer = admin.put(levels, json={"access_control_list": [entry]}).json()
    assert (answer["object_type"], answer["object_id"]) == ("query", levels[20:])
    assert reader.get(path).status_code == 200
    assert send(reader, "PATCH", path, GIVEN, update_mask="query_text").status_code == 403


def test_the_sdk_reads_them(admin: TestClient) -> None:
    made(admin)

    class Api:
        def do(self, method: str, path: str, query: Any = None, **_: Any) -> Any:
            return admin.request(method, path, params=query).json()

    api: Any = Api()
    api._cfg = type("Config", (), {"workspace_id": None})
    queries = QueriesAPI(api)
    (found,) = queries.list()
    assert queries.get(str(found.id)).parent_path == "/Workspace/Shared"
