"""Route-optimised endpoints: a URL of their own, and OAuth tokens that are for them alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import principals, signing
from scgpt_databricks.local_workspace.identity.signing import client_secret
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import BUILDER, create, rows

ME = "/api/2.0/preview/scim/v2/Me"
TOKEN = "/oidc/v1/token"


@pytest.fixture
def endpoint(as_: As) -> dict[str, Any]:
    return create(as_("builder"), route_optimized=True)


@pytest.fixture
def plane(endpoint: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = endpoint["data_plane_info"]["query_info"]
    return found


def _path(workspace: Workspace, plane: dict[str, str]) -> str:
    return plane["endpoint_url"].removeprefix(workspace.url)


def _login(client: TestClient, workspace: Workspace, **more: str) -> str:
    form = {"grant_type": "client_credentials", "scope": "all-apis", **more}
    auth = (BUILDER, client_secret(workspace, BUILDER))
    answer = client.post(TOKEN, data=form, auth=auth)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def _ask(client: TestClient, path: str, token: str) -> Any:
    return client.post(path, json={"inputs": [1]}, headers={"Authorization": f"Bearer {token}"})


def test_its_document_says_where_it_is_asked(
    workspace: Workspace, endpoint: dict[str, Any], plane: dict[str, str]
) -> None:
    assert endpoint["endpoint_url"] == plane["endpoint_url"]
    assert _path(workspace, plane) == "/1234567890123456/serving-endpoints/e/invocations"
    (permission,) = json.loads(plane["authorization_details"])
    assert permission["object_path"] == f"/serving-endpoints/{endpoint['id']}"


def test_any_other_endpoint_has_no_url_of_its_own(as_: As) -> None:
    assert not {"data_plane_info", "endpoint_url"} & set(create(as_("builder")))


@pytest.mark.parametrize("by", ["exchange", "secret"])
def test_it_answers_to_a_token_for_it(
    as_: As, workspace: Workspace, plane: dict[str, str], by: str
) -> None:
    client, details = as_("builder"), plane["authorization_details"]
    if by == "secret":
        token = _login(client, workspace, authorization_details=details)
    else:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": _login(client, workspace),
            "authorization_details": details,
        }
        token = client.post(TOKEN, data=form).json()["access_token"]
    answer = _ask(client, _path(workspace, plane), token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["served-model-name"] == "m-1"
    # Such a token opens nothing else.
    assert client.get(ME, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_the_workspaces_own_url_is_refused(as_: As, plane: dict[str, str]) -> None:
    for path in ("/serving-endpoints/e", "/serving-endpoints/e/served-models/m-1"):
        answer = as_("builder").post(f"{path}/invocations", json={"inputs": [1]})
        assert answer.status_code == 400
        assert "through its own URL" in answer.json()["message"]


def test_other_tokens_are_refused(as_: As, workspace: Workspace, plane: dict[str, str]) -> None:
    client, path = as_("builder"), _path(workspace, plane)
    other = json.dumps([{"object_path": "/serving-endpoints/another"}])
    for token, words in [
        (principals.token_of(workspace, "builder"), "Personal access tokens are not supported"),
        (_login(client, workspace), "Missing authorization details"),
        (_login(client, workspace, authorization_details=other), "Missing authorization details"),
    ]:
        answer = _ask(client, path, token)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert words in answer.json()["message"]


def test_who_may_not_query_is_refused(as_: As, workspace: Workspace) -> None:
    document = create(as_("admin"), route_optimized=True)
    plane = document["data_plane_info"]["query_info"]
    client = as_("builder")
    token = _login(client, workspace, authorization_details=plane["authorization_details"])
    answer = _ask(client, _path(workspace, plane), token)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_one_that_is_not_optimised_has_no_such_url(as_: As, workspace: Workspace) -> None:
    create(as_("builder"))
    client = as_("builder")
    path = "/1234567890123456/serving-endpoints/e/invocations"
    assert _ask(client, path, _login(client, workspace)).status_code == 404


def test_an_oauth_token_opens_the_api_for_an_hour(as_: As, workspace: Workspace) -> None:
    client = as_("admin")
    headers = {"Authorization": f"Bearer {_login(client, workspace)}"}
    assert client.get(ME, headers=headers).json()["userName"] == BUILDER
    later = 1000 * signing.TOKEN_LIFETIME_S + 1000
    client.put("/_local/clock", json={"offset_ms": later})
    assert client.get(ME, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_id": BUILDER, "client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "admin@local.test", "client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "pat"},
            400,
            "invalid_grant",
        ),
        ({"authorization_details": "{"}, 400, "invalid_authorization_details"),
    ],
)
def test_a_token_is_refused(
    as_: As, workspace: Workspace, form: dict[str, str], status: int, error: str
) -> None:
    right = {"client_id": BUILDER, "client_secret": client_secret(workspace, BUILDER)}
    answer = as_("admin").post(TOKEN, data={"grant_type": "client_credentials", **right, **form})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_no_secret_is_recorded(as_: As, workspace: Workspace, tmp_path: Path) -> None:
    client = as_("admin")
    token = _login(client, workspace)
    assert client.get("/_local/requests").json()["requests"]
    log = (workspace.logs / "requests.jsonl").read_text()
    assert "/oidc/v1/token" in log
    for secret in (token, client_secret(workspace, BUILDER)):
        assert secret not in log


def test_a_service_principal_logs_in_by_profile(workspace: Workspace, tmp_path: Path) -> None:
    principals.seed(workspace)
    principals.write_config(workspace, tmp_path / "databrickscfg")
    text = (tmp_path / "databrickscfg").read_text()
    profile = text.partition("[local-oauth]\n")[2]
    assert f"client_id = {BUILDER}\n" in profile
    assert f"client_secret = {client_secret(workspace, BUILDER)}\n" in profile
    assert "token" not in profile


def test_its_rows_do_not_say_who_asked(as_: As, workspace: Workspace) -> None:
    gateway = {"enabled": True, "catalog_name": "main", "schema_name": "scgpt"}
    client = as_("builder")
    document = create(client, route_optimized=True, ai_gateway={"inference_table_config": gateway})
    plane = document["data_plane_info"]["query_info"]
    token = _login(client, workspace, authorization_details=plane["authorization_details"])
    assert _ask(client, _path(workspace, plane), token).status_code == 200
    assert rows(as_("admin"), "SELECT requester FROM main.scgpt.e_payload") == [[None]]
