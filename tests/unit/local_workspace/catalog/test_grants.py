"""Grants, and what they let the caller do."""

from __future__ import annotations

import pytest

from scgpt_databricks.local_workspace.core.workspace import BUILDER_APPLICATION_ID, Workspace
from tests.unit.local_workspace.catalog.unity_catalog import MLFLOW, UC, add_grant, new_version
from tests.unit.local_workspace.conftest import As, TestClient


def test_grants_are_added_removed_and_shown(admin: TestClient, schema: str) -> None:
    url = f"{UC}/permissions/schema/{schema}"
    assert admin.get(url).json() == {"privilege_assignments": []}
    add_grant(admin, f"schema/{schema}", "scientists", "use schema", "EXECUTE")
    expected = [{"principal": "scientists", "privileges": ["EXECUTE", "USE_SCHEMA"]}]
    assert admin.get(url).json()["privilege_assignments"] == expected
    remove = {"changes": [{"principal": "scientists", "remove": ["EXECUTE", "USE_SCHEMA"]}]}
    assert admin.patch(url, json=remove).json() == {"privilege_assignments": []}


def test_a_model_is_a_function_to_grants(admin: TestClient, model: str) -> None:
    add_grant(admin, f"FUNCTION/{model}", "scientists", "EXECUTE")
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
    add_grant(admin, "schema/main.scgpt", "scientists", "EXECUTE")
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
    add_grant(admin, "schema/main.scgpt", "scientists", "USE_SCHEMA")
    assert "EXECUTE" in reader.get(url).json()["message"]
    add_grant(admin, f"function/{model}", "reader@local.test", "EXECUTE")
    assert reader.get(url).status_code == 200
    remove = {"changes": [{"principal": "users", "remove": ["USE_CATALOG"]}]}
    admin.patch(f"{UC}/permissions/catalog/main", json=remove)
    assert reader.get(url).status_code == 403


def test_a_reader_changes_nothing(as_: As, admin: TestClient, model: str) -> None:
    reader = as_("reader")
    add_grant(admin, "schema/main.scgpt", "scientists", "USE_SCHEMA", "EXECUTE")
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
    number = new_version(builder, workspace, model)
    alias = {"name": model, "alias": "champion", "version": number}
    assert builder.post(f"{MLFLOW}/registered-models/alias", json=alias).status_code == 403
    add_grant(admin, f"function/{model}", BUILDER_APPLICATION_ID, "MANAGE")
    assert builder.post(f"{MLFLOW}/registered-models/alias", json=alias).status_code == 200


def test_the_owner_of_a_container_manages_what_is_inside(
    as_: As, admin: TestClient, model: str
) -> None:
    admin.patch(f"{UC}/schemas/main.scgpt", json={"owner": "reader@local.test"})
    assert as_("reader").patch(f"{UC}/models/{model}", json={"comment": "c"}).status_code == 200
