"""Versions of a model, in Unity Catalog's view and in mlflow's."""

from __future__ import annotations

import pytest

from scgpt_databricks.local_workspace.catalog import versions
from scgpt_databricks.local_workspace.core.workspace import Workspace
from tests.unit.local_workspace.catalog.unity_catalog import MLFLOW, UC, add_grant, new_version
from tests.unit.local_workspace.conftest import As, TestClient


def test_a_version_is_the_same_in_both_views(
    admin: TestClient, workspace: Workspace, model: str
) -> None:
    number = new_version(admin, workspace, model)
    tag = {"name": model, "version": number, "key": "validated", "value": "true"}
    admin.post(f"{MLFLOW}/model-versions/set-tag", json=tag)
    put = admin.put(f"{UC}/models/{model}/aliases/champion", json={"version_num": 1})
    assert put.status_code == 200
    query = {"name": model, "alias": "champion"}
    wire = admin.get(f"{MLFLOW}/registered-models/alias", params=query).json()["model_version"]
    assert (wire["version"], wire["tags"]) == ("1", [{"key": "validated", "value": "true"}])
    assert wire["aliases"] == [{"alias": "champion", "version": "1"}]
    info = admin.get(f"{UC}/models/{model}/aliases/champion").json()
    assert (info["version"], info["status"], info["model_name"]) == (1, "READY", "m")
    assert [
        v["version"] for v in admin.get(f"{UC}/models/{model}/versions").json()["model_versions"]
    ] == [1]
    assert "aliases" not in admin.get(f"{UC}/models/{model}").json()
    with_aliases = admin.get(f"{UC}/models/{model}?include_aliases=true").json()
    assert with_aliases["aliases"] == [{"alias_name": "champion", "version_num": 1}]


def test_numbers_are_never_given_again(admin: TestClient, workspace: Workspace, model: str) -> None:
    assert [new_version(admin, workspace, model) for _ in range(3)] == ["1", "2", "3"]
    admin.put(f"{UC}/models/{model}/aliases/champion", json={"version_num": 3})
    assert admin.delete(f"{UC}/models/{model}/versions/3").status_code == 200
    assert admin.get(f"{UC}/models/{model}/aliases/champion").status_code == 404
    assert not versions.folder(workspace, model, 3).exists()
    assert new_version(admin, workspace, model) == "4"
    search = {"filter": f"name='{model}'", "max_results": "2"}
    page = admin.get(f"{MLFLOW}/model-versions/search", params=search).json()
    assert [v["version"] for v in page["model_versions"]] == ["4", "2"]
    search["page_token"] = page["next_page_token"]
    page = admin.get(f"{MLFLOW}/model-versions/search", params=search).json()
    assert [v["version"] for v in page["model_versions"]] == ["1"]
    assert "next_page_token" not in page


def test_a_model_made_anew_starts_at_one(
    admin: TestClient, workspace: Workspace, model: str
) -> None:
    new_version(admin, workspace, model)
    assert admin.delete(f"{UC}/models/{model}").status_code == 200
    admin.post(f"{MLFLOW}/registered-models/create", json={"name": model})
    assert admin.get(f"{UC}/models/{model}/versions").json() == {"model_versions": []}
    assert new_version(admin, workspace, model) == "1"


def test_a_registered_name_is_taken_in_both_views(admin: TestClient, model: str) -> None:
    again = admin.post(f"{MLFLOW}/registered-models/create", json={"name": model})
    assert (again.status_code, again.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_version_without_files_is_never_ready(admin: TestClient, model: str) -> None:
    admin.post(f"{MLFLOW}/model-versions/create", json={"name": model})
    body = {"name": model, "version": "1"}
    refused = admin.post(f"{MLFLOW}/model-versions/finalize", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_STATE")
    found = admin.get(f"{MLFLOW}/model-versions/get", params=body).json()["model_version"]
    assert found["status"] == "PENDING_REGISTRATION"


def test_files_of_a_ready_version_are_final(
    admin: TestClient, workspace: Workspace, model: str
) -> None:
    number = new_version(admin, workspace, model)
    url = f"/api/2.0/fs/files/Models/main/scgpt/m/{number}/MLmodel?overwrite=true"
    assert admin.put(url, content=b"y").status_code == 400
    assert admin.get(url).content == b"x"


@pytest.mark.parametrize("alias", ["v1", "latest", "V12", "a b", "x/y"])
def test_aliases_that_look_like_versions_are_refused(
    admin: TestClient, workspace: Workspace, model: str, alias: str
) -> None:
    number = new_version(admin, workspace, model)
    body = {"name": model, "alias": alias, "version": number}
    assert admin.post(f"{MLFLOW}/registered-models/alias", json=body).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{UC}/models/main.scgpt.m/versions/9", 404),
        (f"{UC}/models/main.scgpt.m/versions/x", 400),
        (f"{UC}/models/main.scgpt.none/versions/1", 404),
        (f"{MLFLOW}/registered-models/get?name=main.scgpt.none", 404),
        (f"{MLFLOW}/registered-models/get", 400),
        (f"{MLFLOW}/model-versions/search?filter=run_id%3D'x'", 400),
    ],
)
def test_what_is_not_there_is_named(admin: TestClient, model: str, path: str, status: int) -> None:
    answer = admin.get(path)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_both_apis_make_the_same_version(
    admin: TestClient, workspace: Workspace, model: str
) -> None:
    catalog, schema, name = model.split(".")
    parts = {"catalog_name": catalog, "schema_name": schema, "model_name": name}
    tags = [{"key": "validated", "value": "true"}]
    body = {**parts, "source": "s", "run_id": "r", "comment": "a card", "tags": tags}
    made = admin.post(f"{UC}/models/versions", json=body).json()
    assert (made["version"], made["status"]) == (1, "PENDING_REGISTRATION")
    refused = admin.patch(f"{UC}/models/{model}/versions/1/finalize", json={})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_STATE")
    admin.put("/api/2.0/fs/files/Models/main/scgpt/m/1/MLmodel", content=b"x")
    assert admin.patch(f"{UC}/models/{model}/versions/1/finalize", json={}).json()["tags"] == tags
    changes = {"add_tags": [{"key": "a", "value": "1"}], "remove": ["validated", "absent"]}
    path = f"{UC}/subentity-tags/FUNCTION/{model}/1"
    assert admin.patch(path, json={"changes": changes}).status_code == 200
    query = {"name": model, "version": "1"}
    wire = admin.get(f"{MLFLOW}/model-versions/get", params=query).json()["model_version"]
    assert (wire["status"], wire["description"]) == ("READY", "a card")
    assert wire["tags"] == [{"key": "a", "value": "1"}]


def test_who_may_add_and_tag_versions(
    as_: As, admin: TestClient, workspace: Workspace, model: str
) -> None:
    new_version(admin, workspace, model)
    for where, privilege in (
        ("catalog/main", "USE_CATALOG"),
        ("schema/main.scgpt", "USE_SCHEMA"),
        (f"function/{model}", "EXECUTE"),
    ):
        add_grant(admin, where, "reader@local.test", privilege)
    reader = as_("reader")
    catalog, schema, name = model.split(".")
    parts = {"catalog_name": catalog, "schema_name": schema, "model_name": name, "version": 1}
    credentials = f"{UC}/temporary-model-version-credentials"
    read = reader.post(credentials, json={**parts, "operation": "READ_MODEL_VERSION"})
    assert read.json()["storage_mode"] == "DEFAULT_STORAGE"
    write = reader.post(credentials, json={**parts, "operation": "READ_WRITE_MODEL_VERSION"})
    assert write.status_code == 403
    assert reader.post(f"{UC}/models/versions", json=parts).status_code == 403
    changes = {"changes": {"add_tags": [{"key": "validated", "value": "true"}]}}
    for path in (f"subentity-tags/FUNCTION/{model}/1", f"securable-tags/FUNCTION/{model}"):
        refused = reader.patch(f"{UC}/{path}", json=changes)
        assert (refused.status_code, "APPLY TAG" in refused.json()["message"]) == (403, True)
    refused = admin.patch(f"{UC}/securable-tags/SCHEMA/main.scgpt", json=changes)
    assert (refused.status_code, "registered models" in refused.json()["message"]) == (400, True)
