"""Queries: split, limits, what is passed through."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.serving import invocations, scoring
from tests.unit.local_workspace.conftest import TestClient
from tests.unit.local_workspace.serving.conftest import As
from tests.unit.local_workspace.serving.kit import BASE, config, create, query

JSON = {"Content-Type": "application/json"}


def _versions(client: TestClient, count: int) -> Counter[str]:
    return Counter(query(client).headers["served-model-name"] for _ in range(count))


def test_body_status_and_error_of_the_model_pass_unchanged(admin: TestClient) -> None:
    create(admin)
    raw = b'{ "inputs" : [1.50], "client_request_id": "c" }'
    answer = admin.post("/serving-endpoints/e/invocations", content=raw, headers=JSON)
    assert answer.json()["got"] == raw.decode()
    assert answer.headers["served-model-name"] == "m-1"
    assert len(answer.headers["x-request-id"]) == 36
    refused = query(admin, {"bad": 1})
    assert refused.status_code == 400
    assert refused.json() == {"error_code": "BAD_REQUEST", "message": "no column cell_id"}


def test_traffic_is_split_exactly(admin: TestClient) -> None:
    create(admin, config=config((1, 90), (2, 10)))
    assert _versions(admin, 30) == {"m-1": 27, "m-2": 3}
    admin.put(f"{BASE}/e/config", json=config((1, 50), (2, 50)))
    while admin.get(f"{BASE}/e").json()["state"]["config_update"] == "IN_PROGRESS":
        pass
    assert _versions(admin, 20) == {"m-1": 10, "m-2": 10}


def test_a_version_without_traffic_answers_when_it_is_named(admin: TestClient) -> None:
    create(admin, config=config((1, 100), (2, 0)))
    assert _versions(admin, 10) == {"m-1": 10}
    path = "/serving-endpoints/e/served-models/{}/invocations"
    assert admin.post(path.format("m-2"), json={}).headers["served-model-name"] == "m-2"
    assert admin.post(path.format("m-3"), json={}).status_code == 404


def test_an_unknown_endpoint_is_404(admin: TestClient) -> None:
    answer = query(admin, name="nobody")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_request_over_the_limit_is_refused_with_the_platforms_words(admin: TestClient) -> None:
    create(admin)
    content = b"{" + b" " * invocations.REQUEST_LIMIT + b"}"
    answer = admin.post("/serving-endpoints/e/invocations", content=content, headers=JSON)
    assert answer.status_code == 400
    assert "Request size cannot exceed 16777216 bytes" in answer.json()["message"]
    fits = b"{" + b" " * (invocations.REQUEST_LIMIT - 2) + b"}"
    answer = admin.post("/serving-endpoints/e/invocations", content=fits, headers=JSON)
    assert answer.status_code == 200


def test_a_request_without_a_content_type_is_refused(admin: TestClient) -> None:
    """MLflow hangs up on it; the next one is not to pay for that."""
    create(admin)
    for _ in range(3):
        answer = admin.post("/serving-endpoints/e/invocations", content=b"{}")
        assert (answer.status_code, "Content-Type" in answer.json()["message"]) == (415, True)
        assert query(admin).status_code == 200


def test_a_process_that_hangs_up_is_asked_again(admin: TestClient) -> None:
    create(admin)
    assert query(admin, {"silent": 1}).status_code == 200
    assert query(admin).status_code == 200


def test_a_process_that_lives_is_never_said_to_have_ended(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_DYING_S", 0.1)
    monkeypatch.setattr(invocations, "_NOTICED_AFTER_S", (0.01, 0.01))
    create(admin)
    query(admin, {"silent": 99})
    answer = query(admin)
    assert answer.status_code == 503
    assert answer.json()["message"] == "The scoring process of m-1 does not answer."


@pytest.mark.parametrize(
    ("limit", "admin_gets", "reader_gets"),
    [
        ({"key": "endpoint"}, [200, 200, 429], [429]),
        ({"key": "user"}, [200, 200, 429], [200, 200, 429]),
        ({"key": "user", "principal": "reader@local.test"}, [200] * 3, [200, 200, 429]),
        ({"key": "user_group", "principal": "scientists"}, [200] * 3, [200, 200, 429]),
    ],
)
def test_rate_limits(
    as_: As, limit: dict[str, Any], admin_gets: list[int], reader_gets: list[int]
) -> None:
    admin, reader = as_("admin"), as_("reader")
    limits = {"rate_limits": [{"calls": 2, "renewal_period": "minute", **limit}]}
    endpoint = create(admin, ai_gateway=limits)
    grant = {"group_name": "users", "permission_level": "CAN_QUERY"}
    acl = f"/api/2.0/permissions/serving-endpoints/{endpoint['id']}"
    admin.put(acl, json={"access_control_list": [grant]})
    assert [query(admin).status_code for _ in admin_gets] == admin_gets
    assert [query(reader).status_code for _ in reader_gets] == reader_gets
    if 429 in admin_gets:
        refused = query(admin).json()
        assert refused["error_code"] == "REQUEST_LIMIT_EXCEEDED"
        admin.put("/_local/clock", json={"offset_ms": 60_001})
        assert query(admin).status_code == 200


def test_a_query_may_take_as_long_as_the_platform_allows(workspace: Workspace) -> None:
    timeout = invocations.Queries().client.timeout
    assert isinstance(timeout, httpx.Timeout)
    assert timeout.read is not None
    assert timeout.read >= 297
