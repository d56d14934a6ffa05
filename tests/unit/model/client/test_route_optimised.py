"""Where the client asks, and with which token: as the endpoint's document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from scgpt_databricks.model.client import Endpoint
from scgpt_databricks.model.client.conversation import Conversation
from scgpt_databricks.model.errors import EndpointError
from tests.unit.loopback import JsonHandler, listening

DETAILS = '[{"type": "workspace_permission"}]'
PLANE = "/77/serving-endpoints/direct/invocations"


class Server:
    """A workspace with an ordinary endpoint and `direct`; keeps who asked which path for what."""

    def __init__(self, port: int) -> None:
        self.host = f"http://127.0.0.1:{port}"
        self.asked: list[tuple[str, str]] = []
        self.exchanges: list[dict[str, list[str]]] = []
        self.refuses_exchange = False

    def login(self, **how: Any) -> WorkspaceClient:
        return WorkspaceClient(config=Config(host=self.host, **how))

    def document(self, name: str) -> tuple[int, dict[str, Any]]:
        if name == "direct":
            query = {"endpoint_url": self.host + PLANE, "authorization_details": DETAILS}
            return 200, {"name": name, "data_plane_info": {"query_info": query}}
        if name == "ordinary":
            return 200, {"name": name}
        return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {name}"}

    def token(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        exchanged = "assertion" in form
        if exchanged and self.refuses_exchange:
            return 400, {"error": "invalid_grant", "error_description": "no such permission"}
        if exchanged:
            self.exchanges.append(form)
        token = "for-direct" if exchanged else "for-all"
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "CONFIG_PROFILE"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", "/dev/null")

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            if self.path.startswith("/api/2.0/serving-endpoints/"):
                self.answer(*found.document(self.path.rpartition("/")[2]))
            else:
                self.answer_oidc(found.host)

        def do_POST(self) -> None:  # noqa: N802 - http.server's name
            body = self.sent().decode()
            if self.path == "/oidc/v1/token":
                self.answer(*found.token(parse_qs(body)))
                return
            found.asked.append((self.path, self.headers["Authorization"]))
            self.answer(200, {"predictions": [{"model_digest": "d"}]})

    with listening(Handler) as port:
        found = Server(port)
        yield found


OAUTH: dict[str, Any] = {"client_id": "c", "client_secret": "s"}


def ask(endpoint: Endpoint, times: int = 1) -> None:
    with Conversation(endpoint) as conversation:
        for _ in range(times):
            conversation.ask({})


def test_it_is_asked_past_the_workspace_with_a_token_of_its_own(server: Server) -> None:
    ask(Endpoint.of("direct", server.login(**OAUTH)), times=2)
    assert server.asked == [(PLANE, "Bearer for-direct")] * 2
    (exchange,) = server.exchanges  # one token for both
    assert exchange["assertion"] == ["for-all"]
    assert exchange["authorization_details"] == [DETAILS]


def test_any_other_is_asked_through_the_workspace(server: Server) -> None:
    for login, header in ((OAUTH, "Bearer for-all"), ({"token": "pat"}, "Bearer pat")):
        ask(Endpoint.of("ordinary", server.login(**login)))
        assert server.asked.pop() == ("/serving-endpoints/ordinary/invocations", header)
    assert server.exchanges == []


def test_one_that_is_not_there_says_so_itself(server: Server) -> None:
    found = Endpoint.of("nowhere", server.login(token="pat"))
    assert found.url == f"{server.host}/serving-endpoints/nowhere/invocations"


def test_a_personal_token_is_refused_before_anything_is_sent(server: Server) -> None:
    with pytest.raises(EndpointError, match="take OAuth only, and this login is pat") as refusal:
        Endpoint.of("direct", server.login(token="pat"))
    assert refusal.value.code == "oauth_only"
    assert server.asked == []


def test_a_token_that_is_not_given_is_told(server: Server) -> None:
    server.refuses_exchange = True
    with pytest.raises(EndpointError, match=r"no token for direct: .*no such permission"):
        ask(Endpoint.of("direct", server.login(**OAUTH)))
    assert server.asked == []


def test_it_is_found_by_each_of_its_addresses(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", server.host)
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "c")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "s")
    plane = server.host + PLANE
    through = f"{server.host}/serving-endpoints/direct/invocations"
    for given in ("direct", through, plane, f"{plane}/"):
        assert Endpoint.find(given).url == plane
    with pytest.raises(EndpointError, match="is no endpoint of") as refusal:
        Endpoint.find("https://0.serving.example.com/77/serving-endpoints/direct/invocations")
    assert refusal.value.code == "another_workspace"
