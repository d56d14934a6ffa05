"""Catalogs, schemas, models, volumes, tables; grants and their enforcement; versions."""

from __future__ import annotations

import pytest

from infra.local_workspace import catalog_objects, versions
from infra.local_workspace.workspace import BUILDER_APPLICATION_ID, METASTORE_ID, Workspace

from .conftest import As, TestClient

UC = "/api/2.1/unity-catalog"
MLFLOW = "/api/2.0/mlflow/unity-catalog"


def _grant(admin: TestClient, where: str, principal: str, *privileges: str) -> None:
    body = {"changes": [{"principal": principal, "add": list(privileges)}]}
    answer = admin.patch(f"{UC}/permissions/{where}", json=body)
    assert answer.status_code == 200, answer.text


def _version(client: TestClient, workspace: Workspace, model: str) -> str:
    """A ready version, made as mlflow makes it."""
    created = client.post(f"{MLFLOW}/model-versions/create", json={"name": model, "source": "s"})
    number = str(created.json()["model_version"]["version"])
    path = f"/Models/{model.replace('.', '/')}/{number}/MLmodel"
    assert client.put(f"/api/2.0/fs/files{path}", content=b"x").status_code == 204
    body = {"name": model, "version": number}
    final = client.post(f"{MLFLOW}/model-versions/finalize", json=body)
    assert final.json()["model_version"]["status"] == "READY"
    return number


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
    catalog_objects.register_table(
        workspace, "main.scgpt.t", owner="admin@local.test", columns=columns, storage_location="x"
    )
    assert admin.get(f"{url}/exists").json() == {"table_exists": True}
    assert admin.get(url).json()["columns"] == columns
    assert as_("reader").get(url).status_code == 403
    assert admin.post(f"{UC}/tables", json={}).status_code == 501


# --- grants ----------------------------------------------------------------------------------


def test_grants_are_added_removed_and_shown(admin: TestClient, schema: str) -> None:
    url = f"{UC}/permissions/schema/{schema}"
    assert admin.get(url).json() == {"privilege_assignments": []}
    _grant(admin, f"schema/{schema}", "scientists", "use schema", "EXECUTE")
    expected = [{"principal": "scientists", "privileges": ["EXECUTE", "USE_SCHEMA"]}]
    assert admin.get(url).json()["privilege_assignments"] == expected
    remove = {"changes": [{"principal": "scientists", "remove": ["EXECUTE", "USE_SCHEMA"]}]}
    assert admin.patch(url, json=remove).json() == {"privilege_assignments": []}


def test_a_model_is_a_function_to_grants(admin: TestClient, model: str) -> None:
    _grant(admin, f"FUNCTION/{model}", "scientists", "EXECUTE")
    for wire_type in ("function", "registered_model"):
        found = admin.get(f"{UC}/permissions/{wire_type}/{model}").json()["privilege_assignments"]
        assert found == [{"principal": "scientists", "privileges": ["EXECUTE"]}]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ([{"principal": "no@one.x", "add": ["EXECUTE"]}], 404, "PRINCIPAL_DOES_NOT_EXIST"),
        ([{"principal": "users", "add": ["FLY"]}], 400, "INVALID_PARAMETER_VALUE"),
        ([{"principal": "users", "add": ["USE_CATALOG"]}], 400, "INVALID_PARAMETER_VALUE"),
        (
            [{"principal": "users", "add": ["EXECUTE"], "remove": ["EXECUTE"]}],
            400,
            "INVALID_PARAMETER_VALUE",
        ),
    ],
)
def test_a_refused_change_changes_nothing(
    admin: TestClient, schema: str, changes: list[dict[str, object]], status: int, code: str
) -> None:
    url = f"{UC}/permissions/schema/{schema}"
    good = {"principal": "scientists", "add": ["EXECUTE"]}
    answer = admin.patch(url, json={"changes": [good, *changes]})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert admin.get(url).json()["privilege_assignments"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"changes": "x"},
        {"changes": ["x"]},
        {"changes": [{"principal": "users", "add": "EXECUTE"}]},
        {"changes": [{"add": ["EXECUTE"]}]},
    ],
)
def test_a_malformed_change_is_refused(
    admin: TestClient, schema: str, body: dict[str, object]
) -> None:
    answer = admin.patch(f"{UC}/permissions/schema/{schema}", json=body)
    assert answer.status_code in (400, 404)
    assert admin.get(f"{UC}/permissions/schemas/{schema}").status_code == 400


def test_effective_permissions_show_what_is_inherited(admin: TestClient, model: str) -> None:
    _grant(admin, "schema/main.scgpt", "scientists", "EXECUTE")
    url = f"{UC}/effective-permissions/function/{model}?principal=scientists"
    assert admin.get(url).json()["privilege_assignments"] == [
        {
            "principal": "scientists",
            "privileges": [
                {
                    "privilege": "EXECUTE",
                    "inherited_from_type": "SCHEMA",
                    "inherited_from_name": "main.scgpt",
                }
            ],
        }
    ]


def test_a_reader_needs_each_step_of_the_way(as_: As, admin: TestClient, model: str) -> None:
    reader, url = as_("reader"), f"{UC}/models/{model}"
    assert "USE SCHEMA" in reader.get(url).json()["message"]
    _grant(admin, "schema/main.scgpt", "scientists", "USE_SCHEMA")
    assert "EXECUTE" in reader.get(url).json()["message"]
    _grant(admin, f"function/{model}", "reader@local.test", "EXECUTE")
    assert reader.get(url).status_code == 200
    remove = {"changes": [{"principal": "users", "remove": ["USE_CATALOG"]}]}
    admin.patch(f"{UC}/permissions/catalog/main", json=remove)
    assert reader.get(url).status_code == 403


def test_a_reader_changes_nothing(as_: As, admin: TestClient, model: str) -> None:
    reader = as_("reader")
    _grant(admin, "schema/main.scgpt", "scientists", "USE_SCHEMA", "EXECUTE")
    new = {"name": "x", "catalog_name": "main", "schema_name": "scgpt"}
    grant = {"changes": [{"principal": "reader@local.test", "add": ["MANAGE"]}]}
    attempts = [
        reader.post(f"{UC}/schemas", json=new),
        reader.post(f"{UC}/models", json=new),
        reader.patch(f"{UC}/models/{model}", json={"comment": "c"}),
        reader.delete(f"{UC}/models/{model}"),
        reader.patch(f"{UC}/permissions/function/{model}", json=grant),
        reader.post(f"{MLFLOW}/registered-models/create", json={"name": "main.scgpt.x"}),
        reader.post(f"{MLFLOW}/model-versions/create", json={"name": model}),
    ]
    assert [answer.status_code for answer in attempts] == [403] * len(attempts)
    assert reader.get(f"{UC}/catalogs").json()["catalogs"]
    assert [s["name"] for s in reader.get(f"{UC}/schemas").json()["schemas"]] == ["scgpt"]


def test_a_builder_builds_and_publishes_with_manage_only(
    as_: As, admin: TestClient, workspace: Workspace, model: str
) -> None:
    builder = as_("builder")
    number = _version(builder, workspace, model)
    alias = {"name": model, "alias": "champion", "version": number}
    assert builder.post(f"{MLFLOW}/registered-models/alias", json=alias).status_code == 403
    _grant(admin, f"function/{model}", BUILDER_APPLICATION_ID, "MANAGE")
    assert builder.post(f"{MLFLOW}/registered-models/alias", json=alias).status_code == 200


def test_the_owner_of_a_container_manages_what_is_inside(
    as_: As, admin: TestClient, model: str
) -> None:
    admin.patch(f"{UC}/schemas/main.scgpt", json={"owner": "reader@local.test"})
    assert as_("reader").patch(f"{UC}/models/{model}", json={"comment": "c"}).status_code == 200


# --- versions --------------------------------------------------------------------------------


def test_a_version_is_the_same_in_both_views(
    admin: TestClient, workspace: Workspace, model: str
) -> None:
    number = _version(admin, workspace, model)
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
    assert [_version(admin, workspace, model) for _ in range(3)] == ["1", "2", "3"]
    admin.put(f"{UC}/models/{model}/aliases/champion", json={"version_num": 3})
    assert admin.delete(f"{UC}/models/{model}/versions/3").status_code == 200
    assert admin.get(f"{UC}/models/{model}/aliases/champion").status_code == 404
    assert not versions.folder(workspace, model, 3).exists()
    assert _version(admin, workspace, model) == "4"
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
    _version(admin, workspace, model)
    assert admin.delete(f"{UC}/models/{model}").status_code == 200
    admin.post(f"{MLFLOW}/registered-models/create", json={"name": model})
    assert admin.get(f"{UC}/models/{model}/versions").json() == {"model_versions": []}
    assert _version(admin, workspace, model) == "1"


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
    number = _version(admin, workspace, model)
    url = f"/api/2.0/fs/files/Models/main/scgpt/m/{number}/MLmodel?overwrite=true"
    assert admin.put(url, content=b"y").status_code == 400
    assert admin.get(url).content == b"x"


@pytest.mark.parametrize("alias", ["v1", "latest", "V12", "a b", "x/y"])
def test_aliases_that_look_like_versions_are_refused(
    admin: TestClient, workspace: Workspace, model: str, alias: str
) -> None:
    number = _version(admin, workspace, model)
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
