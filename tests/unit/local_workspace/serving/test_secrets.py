"""Secrets: who may read them, that only scoring processes get them, that nothing shows them."""

from __future__ import annotations

import base64
from typing import Any

from scgpt_databricks.local_workspace.core.workspace import Workspace
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import BASE, BUILDER, create, entity, query

API = "/api/2.0/secrets"
VALUE = "hub-0815"


def put(client: TestClient, scope: str = "scgpt") -> None:
    assert client.post(f"{API}/scopes/create", json={"scope": scope}).status_code == 200
    body = {"scope": scope, "key": "hub", "string_value": VALUE}
    assert client.post(f"{API}/put", json=body).status_code == 200


def referring(name: str) -> dict[str, Any]:
    variables = {"HUB": f"{{{{secrets/{name}}}}}", "GENES": "60k"}
    return {"served_entities": [entity(1, environment_vars=variables)]}


def test_a_process_gets_the_secret_and_nothing_else_shows_it(
    admin: TestClient, workspace: Workspace
) -> None:
    put(admin)
    described = create(admin, config=referring("scgpt/hub"))
    seen = query(admin).json()["predictions"][0]["env"]
    assert (seen["HUB"], seen["GENES"]) == (VALUE, "60k")
    (served,) = described["config"]["served_entities"]
    assert served["environment_vars"]["HUB"] == "{{secrets/scgpt/hub}}"
    listed = admin.get(f"{API}/list", params={"scope": "scgpt"}).json()
    assert [secret["key"] for secret in listed["secrets"]] == ["hub"]
    assert "/secrets/put" in (workspace.logs / "requests.jsonl").read_text()
    assert VALUE not in (workspace.logs / "requests.jsonl").read_text() + str(listed)


def test_a_reference_to_nothing_is_refused(admin: TestClient) -> None:
    put(admin)
    for name, message in (("other/hub", "Scope other"), ("scgpt/gone", "key: gone")):
        answer = admin.post(BASE, json={"name": "e", "config": referring(name)})
        assert answer.status_code == 404
        assert message in answer.json()["message"]


def test_the_creator_of_the_endpoint_must_be_allowed_to_read(as_: As, admin: TestClient) -> None:
    put(admin)
    grant = {"changes": [{"principal": BUILDER, "add": ["ALL_PRIVILEGES"]}]}
    assert admin.patch("/api/2.1/unity-catalog/permissions/catalog/main", json=grant).is_success
    body = {"name": "e", "config": referring("scgpt/hub")}
    refused = as_("builder").post(BASE, json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    acl = {"scope": "scgpt", "principal": BUILDER, "permission": "READ"}
    assert as_("builder").post(f"{API}/acls/put", json=acl).status_code == 403
    assert admin.post(f"{API}/acls/put", json=acl).status_code == 200
    assert as_("builder").post(BASE, json=body).status_code == 200


def test_who_changes_an_endpoint_must_be_allowed_to_read_too(as_: As, admin: TestClient) -> None:
    put(admin)
    described = create(admin)
    entry = {"service_principal_name": BUILDER, "permission_level": "CAN_MANAGE"}
    path = f"/api/2.0/permissions/serving-endpoints/{described['id']}"
    assert admin.put(path, json={"access_control_list": [entry]}).status_code == 200
    refused = as_("builder").put(f"{BASE}/e/config", json=referring("scgpt/hub"))
    assert (refused.status_code, "READ" in refused.json()["message"]) == (403, True)


def test_a_secret_and_its_lists_are_for_those_who_may_see_them(
    as_: As, admin: TestClient, workspace: Workspace
) -> None:
    put(admin)
    reader, one = as_("reader"), {"scope": "scgpt", "key": "hub"}
    mine = {"scope": "scgpt", "principal": "reader@local.test"}
    assert reader.get(f"{API}/get", params=one).status_code == 403
    assert admin.get(f"{API}/acls/get", params=mine).status_code == 404
    assert admin.post(f"{API}/acls/put", json=mine | {"permission": "READ"}).status_code == 200
    answer = reader.get(f"{API}/get", params=one).json()
    assert (answer["key"], base64.b64decode(answer["value"]).decode()) == ("hub", VALUE)
    assert reader.get(f"{API}/acls/list", params=mine).status_code == 403
    assert admin.get(f"{API}/acls/list", params=mine).json()["items"] == [
        {"principal": "admin@local.test", "permission": "MANAGE"},
        {"principal": "reader@local.test", "permission": "READ"},
    ]
    assert admin.get(f"{API}/acls/get", params=mine).json()["permission"] == "READ"
    codes = [admin.post(f"{API}/acls/delete", json=mine).status_code for _ in range(2)]
    assert codes == [200, 404]
    assert reader.get(f"{API}/get", params=one).status_code == 403
    assert admin.get(f"{API}/get", params=one | {"key": "gone"}).status_code == 404
    assert VALUE not in (workspace.logs / "requests.jsonl").read_text()


def test_scopes_and_secrets_come_and_go(admin: TestClient) -> None:
    put(admin)
    again = admin.post(f"{API}/scopes/create", json={"scope": "scgpt"})
    assert again.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    gone = {"scope": "scgpt", "key": "hub"}
    assert [admin.post(f"{API}/delete", json=gone).status_code for _ in range(2)] == [200, 404]
    assert admin.post(f"{API}/scopes/delete", json={"scope": "scgpt"}).status_code == 200
    assert admin.get(f"{API}/scopes/list").json() == {"scopes": []}
