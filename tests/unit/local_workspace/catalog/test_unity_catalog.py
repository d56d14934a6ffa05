"""Catalogs, schemas, models, volumes, tables."""

from __future__ import annotations

import pytest

from scgpt_databricks.local_workspace.catalog import securables
from scgpt_databricks.local_workspace.core.workspace import METASTORE_ID, Workspace
from tests.unit.local_workspace.catalog.unity_catalog import UC
from tests.unit.local_workspace.conftest import As, TestClient


def test_catalogs_are_seeded(admin: TestClient) -> None:
    names = [c["name"] for c in admin.get(f"{UC}/catalogs").json()["catalogs"]]
    assert names == ["dev", "main", "prod", "staging"]


def test_a_schema_comes_back_as_sent_in_lower_case(admin: TestClient) -> None:
    body = {"name": "ScGPT", "catalog_name": "MAIN", "comment": "c"}
    made = admin.post(f"{UC}/schemas", json=body).json()
    assert (made["name"], made["full_name"], made["comment"]) == ("scgpt", "main.scgpt", "c")
    assert made["metastore_id"] == METASTORE_ID
    assert "properties" not in made
    assert admin.get(f"{UC}/schemas/Main.ScGPT").json() == made
    listed = admin.get(f"{UC}/schemas?catalog_name=main").json()["schemas"]
    assert [s["full_name"] for s in listed] == ["main.scgpt"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("schemas", {"name": "a", "catalog_name": "none"}, 404),
        ("schemas", {"name": "a.b", "catalog_name": "main"}, 400),
        ("schemas", {"catalog_name": "main"}, 400),
        ("schemas", {"name": "a"}, 400),
        ("models", {"name": "m", "catalog_name": "main", "schema_name": "none"}, 404),
        ("volumes", {"name": "v", "catalog_name": "main", "schema_name": "none"}, 404),
        ("schemas", {"name": "scgpt", "catalog_name": "main"}, 400),
    ],
)
def test_creation_checks_names_and_references(
    admin: TestClient, schema: str, kind: str, body: dict[str, str], status: int
) -> None:
    answer = admin.post(f"{UC}/{kind}", json=body)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_a_schema_that_holds_something_stays(admin: TestClient, model: str) -> None:
    refused = admin.delete(f"{UC}/schemas/main.scgpt")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_STATE")
    assert "main.scgpt.m" in refused.json()["message"]
    assert admin.get(f"{UC}/models/{model}").status_code == 200
    assert admin.delete(f"{UC}/schemas/main.scgpt?force=true").status_code == 200
    assert admin.get(f"{UC}/models/{model}").status_code == 404
    assert admin.get(f"{UC}/schemas/main.scgpt").status_code == 404


def test_a_catalog_comes_with_a_default_schema(admin: TestClient) -> None:
    assert admin.post(f"{UC}/catalogs", json={"name": "new"}).status_code == 200
    assert admin.delete(f"{UC}/schemas/new.default").status_code == 200
    assert admin.delete(f"{UC}/catalogs/new").status_code == 200


def test_an_update_changes_owner_and_comment(admin: TestClient, model: str) -> None:
    url = f"{UC}/models/{model}"
    repeated = {"name": "m", "catalog_name": "main", "schema_name": "scgpt", "created_at": 1}
    assert admin.patch(url, json={"comment": "c", **repeated}).json()["comment"] == "c"
    assert admin.get(url).json()["created_at"] != 1
    assert admin.patch(url, json={"owner": "scientists"}).json()["owner"] == "scientists"
    assert "comment" not in admin.patch(url, json={"comment": ""}).json()
    unknown = admin.patch(url, json={"owner": "nobody@x.y"})
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "PRINCIPAL_DOES_NOT_EXIST")


def test_a_volume_is_renamed_with_its_files(admin: TestClient, schema: str) -> None:
    body = {"name": "v", "catalog_name": "main", "schema_name": "scgpt", "volume_type": "MANAGED"}
    assert admin.post(f"{UC}/volumes", json=body).json()["volume_type"] == "MANAGED"
    admin.put("/api/2.0/fs/files/Volumes/main/scgpt/v/a.txt", content=b"x")
    assert admin.patch(f"{UC}/volumes/main.scgpt.v", json={"new_name": "w"}).status_code == 200
    assert admin.get("/api/2.0/fs/files/Volumes/main/scgpt/w/a.txt").content == b"x"
    assert admin.get(f"{UC}/volumes/main.scgpt.v").status_code == 404


def test_tables_are_registered_by_the_service(
    admin: TestClient, as_: As, workspace: Workspace, schema: str
) -> None:
    url = f"{UC}/tables/main.scgpt.t"
    assert admin.get(f"{url}/exists").json() == {"table_exists": False}
    columns = [{"name": "a", "type_text": "int", "type_name": "INT", "position": 0}]
    securables.register_table(
        workspace, "main.scgpt.t", owner="admin@local.test", columns=columns, storage_location="x"
    )
    assert admin.get(f"{url}/exists").json() == {"table_exists": True}
    assert admin.get(url).json()["columns"] == columns
    assert as_("reader").get(url).status_code == 403
    assert admin.post(f"{UC}/tables", json={}).status_code == 501
