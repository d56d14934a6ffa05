"""The way every request takes: authentication, unknown routes, faults, recording."""

from __future__ import annotations

import json

import pytest

from scgpt_databricks.local_workspace.core.routing import Call
from scgpt_databricks.local_workspace.core.workspace import WORKSPACE_ID, Workspace
from scgpt_databricks.local_workspace.identity import principals, scim
from tests.unit.local_workspace.conftest import As, TestClient

ME = "/api/2.0/preview/scim/v2/Me"
SCHEMAS = "/api/2.1/unity-catalog/schemas"


def test_every_seeded_principal_is_known_by_its_token(as_: As) -> None:
    names = [as_(who).get(ME).json()["userName"] for who in ("admin", "builder", "reader")]
    assert names[0] == "admin@local.test"
    assert names[1] == "00000000-0000-4000-8000-0000000000b1"
    assert names[2] == "reader@local.test"


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic eDp5", "Bearer", "Bearer ß"])
def test_without_a_valid_token_nothing_answers(anyone: TestClient, header: str | None) -> None:
    headers = (
        {} if header is None else {"Authorization": header.encode("latin-1").decode("latin-1")}
    )
    for path in (ME, SCHEMAS, "/_local/faults", "/api/2.0/nothing/here", "/"):
        answer = anyone.get(path, headers=[(k, v.encode("latin-1")) for k, v in headers.items()])
        assert answer.status_code == 401
        assert answer.json()["error_code"] == "UNAUTHENTICATED"
        assert answer.headers["X-Databricks-Org-Id"] == WORKSPACE_ID


def test_a_token_may_come_as_the_password_of_a_user_token(
    anyone: TestClient, workspace: Workspace
) -> None:
    """The form of the vendor's own examples: ``curl --user token:$TOKEN``."""
    token = principals.token_of(workspace, "reader")
    assert anyone.get(ME, auth=("token", token)).json()["userName"] == "reader@local.test"
    for user, password in (("token", "wrong"), ("reader", token), ("token", ""), ("", token)):
        assert anyone.get(ME, auth=(user, password)).status_code == 401


def test_discovery_is_public_and_every_answer_names_the_workspace(anyone: TestClient) -> None:
    answer = anyone.get("/.well-known/databricks-config")
    assert answer.json()["workspace_id"] == WORKSPACE_ID
    assert answer.headers["X-Databricks-Org-Id"] == WORKSPACE_ID
    assert answer.headers["x-request-id"]


def test_an_unknown_route_is_501_and_logged(admin: TestClient, workspace: Workspace) -> None:
    answer = admin.post("/api/2.0/clusters/create?x=1", json={})
    assert answer.status_code == 501
    assert answer.json()["error_code"] == "NOT_IMPLEMENTED"
    assert "POST /api/2.0/clusters/create" in answer.json()["message"]
    log = (workspace.logs / "unknown_routes.log").read_text()
    assert log == "POST /api/2.0/clusters/create\n"


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow/runs/%2e%2e/experiments/search",
        "/api/2.0/mlflow/logged-models/..%2f..%2f..%2f..%2fget-artifact",
        "/api/2.1/unity-catalog/schemas/%2E%2E",
        "/api/2.0/serving-endpoints/%2e/e",
    ],
)
def test_no_path_has_dot_segments(admin: TestClient, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_mistake_of_ours_is_a_500_in_json(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: Call, resources: object) -> dict[str, object]:
        raise ZeroDivisionError

    monkeypatch.setattr(scim, "_page", broken)
    answer = admin.get("/api/2.0/preview/scim/v2/Groups")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"name": "\\ud800"}', b"[" * 9000, b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(admin: TestClient, body: bytes) -> None:
    answer = admin.post(SCHEMAS, content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "MALFORMED_REQUEST")


def _fault(admin: TestClient, **rule: object) -> str:
    answer = admin.post("/_local/faults", json=rule)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def _create(admin: TestClient, name: str) -> int:
    return int(admin.post(SCHEMAS, json={"name": name, "catalog_name": "main"}).status_code)


def _exists(admin: TestClient, name: str) -> bool:
    return bool(admin.get(f"{SCHEMAS}/main.{name}").status_code == 200)


def test_a_fault_before_prevents_the_effect(admin: TestClient) -> None:
    _fault(admin, method="POST", path=f"{SCHEMAS}*", status=503, times=2, offset=1)
    assert [_create(admin, name) for name in "abcd"] == [200, 503, 503, 200]
    assert [_exists(admin, name) for name in "abcd"] == [True, False, False, True]


def test_a_fault_after_loses_only_the_answer(admin: TestClient) -> None:
    _fault(admin, path=SCHEMAS, status=500, when="after", body={"error_code": "X"})
    answer = admin.post(SCHEMAS, json={"name": "a", "catalog_name": "main"})
    assert (answer.status_code, answer.json()) == (500, {"error_code": "X"})
    assert _exists(admin, "a")


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_a_dropped_connection_gives_no_answer(admin: TestClient, when: str, done: bool) -> None:
    _fault(admin, path=SCHEMAS, drop=True, when=when)
    dropping = TestClient(admin.app, base_url=str(admin.base_url), headers=admin.headers)
    with pytest.raises(ConnectionResetError):
        dropping.post(SCHEMAS, json={"name": "a", "catalog_name": "main"})
    assert _exists(admin, "a") is done


def test_faults_are_listed_and_cleared(admin: TestClient) -> None:
    first = _fault(admin, path=SCHEMAS, status=429, times=0)
    _fault(admin, path=ME, status=429)
    assert _create(admin, "a") == 429
    assert admin.get("/_local/faults").json()["faults"][0]["hits"] == 1
    assert admin.delete(f"/_local/faults/{first}").status_code == 200
    assert _create(admin, "a") == 200
    assert admin.delete("/_local/faults").status_code == 200
    assert admin.get(ME).status_code == 200


@pytest.mark.parametrize(
    "rule",
    [
        {"status": 500},
        {"path": ME},
        {"path": ME, "status": "500"},
        {"path": ME, "status": 500, "when": "later"},
        {"path": ME, "status": 500, "tiems": 3},
    ],
)
def test_a_wrong_fault_rule_is_refused(admin: TestClient, rule: dict[str, object]) -> None:
    assert admin.post("/_local/faults", json=rule).status_code == 400


def test_control_routes_are_for_admins(as_: As) -> None:
    for who in ("builder", "reader"):
        for path in ("/_local/faults", "/_local/requests", "/_local/clock"):
            assert as_(who).get(path).status_code == 403


def test_requests_are_recorded_without_secrets(admin: TestClient, workspace: Workspace) -> None:
    token = principals.token_of(workspace, "reader")
    _create(admin, "a")
    admin.get(f"{ME}?signature=abc&x=1&leak={token}")
    admin.post(f"{SCHEMAS}?y", json={"name": token, "comment": "z" * 50_000})
    admin.get("/.well-known/databricks-config")
    recorded = admin.get("/_local/requests").json()["requests"]
    assert [(r["method"], r["path"], r["status"]) for r in recorded] == [
        ("POST", SCHEMAS, 200),
        ("GET", ME, 200),
        ("POST", SCHEMAS, 400),
    ]
    assert json.loads(recorded[0]["body"]) == {"name": "a", "catalog_name": "main"}
    assert recorded[0]["principal"] == "admin@local.test"
    assert recorded[1]["query"] == "signature=***&x=1&leak=***"
    assert recorded[2]["body_cut"] is True
    assert len(recorded[2]["body"]) < 20_000
    text = (workspace.logs / "requests.jsonl").read_text()
    assert not any(secret in text for secret in principals.tokens(workspace))
    wanted = {"method": "GET", "status": "200", "path": "Me"}
    assert len(admin.get("/_local/requests", params=wanted).json()["requests"]) == 1
    assert admin.delete("/_local/requests").status_code == 200
    assert admin.get("/_local/requests").json()["requests"] == []


def test_settings_have_defaults_and_refuse_unknown_fields(
    admin: TestClient, workspace: Workspace
) -> None:
    url = "/_local/settings/deployments"
    assert admin.get(url).json() == {"polls_in_progress": 0, "fail": [], "seconds": 0.0}
    assert admin.put(url, json={"polls_in_progress": 2}).status_code == 200
    stored = workspace.store.get("control", "deployments")
    assert stored == {"polls_in_progress": 2, "fail": [], "seconds": 0.0}
    assert admin.put(url, json={"polls": 2}).status_code == 400
    assert admin.get("/_local/settings/nothing").status_code == 404


@pytest.mark.parametrize("number", ["9" * 5000, "\u0663", "-1", "1.5", "x"])
def test_a_number_is_one_that_fits(admin: TestClient, number: str) -> None:
    for path, name in (
        ("/api/2.2/jobs/get", "job_id"),
        ("/api/2.2/jobs/list", "limit"),
        (SCHEMAS, "page_token"),
        ("/api/2.0/preview/scim/v2/Users", "count"),
    ):
        query = {name: number, "catalog_name": "main"}
        answer = admin.get(path, params=query)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert len(answer.json()["message"]) < 300


def test_the_clock_moves(admin: TestClient, workspace: Workspace) -> None:
    before = workspace.now_ms()
    assert admin.put("/_local/clock", json={"offset_ms": 86_400_000}).status_code == 200
    assert 86_400_000 <= workspace.now_ms() - before < 86_460_000
    assert admin.put("/_local/clock", json={"offset_ms": "1"}).status_code == 400


def test_scim_lists_with_the_filter_that_clients_send(admin: TestClient) -> None:
    url = "/api/2.0/preview/scim/v2"
    builder = "00000000-0000-4000-8000-0000000000b1"
    found = admin.get(
        f"{url}/ServicePrincipals", params={"filter": f'applicationId eq "{builder}"'}
    )
    assert [r["displayName"] for r in found.json()["Resources"]] == ["builder"]
    found = admin.get(f"{url}/Groups", params={"filter": "displayName eq 'nobody'"})
    assert (found.json()["totalResults"], found.json()["Resources"]) == (0, [])
    assert admin.get(f"{url}/Users", params={"filter": "userName sw x"}).status_code == 400
    members = admin.get(f"{url}/Groups", params={"filter": 'displayName eq "scientists"'}).json()
    assert [m["display"] for m in members["Resources"][0]["members"]] == ["reader"]
