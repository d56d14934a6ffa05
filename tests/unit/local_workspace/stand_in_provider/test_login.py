"""The stand-in provider finds host and token, and talks to loopback only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from scgpt_databricks.local_workspace.stand_in_provider.resource import seconds
from scgpt_databricks.local_workspace.stand_in_provider.rest import Login, ProviderError, login


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("HOST", "TOKEN", "CLIENT_ID", "CLIENT_SECRET", "CONFIG_FILE", "CONFIG_PROFILE")
    for name in names:
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:8765", "http://127.9.9.9"]
)
def test_loopback_is_accepted(host: str) -> None:
    assert login({"host": f"{host}/", "token": "t"}).host == host


@pytest.mark.parametrize(
    "host",
    [
        "https://adb-1.azuredatabricks.net",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "http://10.0.0.1:8765",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    with pytest.raises(ProviderError, match="is not on this machine"):
        login({"host": host, "token": "t"})


def test_a_host_without_scheme_is_named() -> None:
    with pytest.raises(ProviderError, match=r"host '127\.0\.0\.1:8765' is no address"):
        login({"host": "127.0.0.1:8765", "token": "t"})


def test_attributes_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("DATABRICKS_TOKEN", "environment")
    assert login({"token": "attribute"}) == Login("http://127.0.0.1:1", "attribute")


@pytest.fixture
def tokens() -> Iterator[str]:
    """A host that gives `granted` for the secret `right`, and refuses any other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            right = (self.path, form["client_id"], form["client_secret"]) == (
                "/oidc/v1/token", ["me"], ["right"]
            )  # fmt: skip
            refused = {"error": "invalid_client", "error_description": "not you"}
            body = json.dumps({"access_token": "granted"} if right else refused).encode()
            self.send_response(200 if right else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_principal_logs_in_with_its_secret(
    tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cfg"
    file.write_text(f"[oauth]\nhost = {tokens}\nclient_id = me\nclient_secret = right\n")
    assert login({"config_file": str(file), "profile": "oauth"}) == Login(tokens, "granted")
    monkeypatch.setenv("DATABRICKS_HOST", tokens)
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "me")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "right")
    assert login({}) == Login(tokens, "granted")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "wrong")
    with pytest.raises(ProviderError, match=f"no OAuth token from {tokens}: not you"):
        login({})


def test_a_profile_fills_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "cfg"
    file.write_text("[local]\nhost = http://127.0.0.1:2\ntoken = per%cent\n")
    found = login({"config_file": str(file), "profile": "local", "retry_timeout_seconds": 5})
    assert found == Login("http://127.0.0.1:2", "per%cent", retry_s=5)
    with pytest.raises(ProviderError, match=f"no profile 'other' in {file}"):
        login({"config_file": str(file), "profile": "other"})


def test_the_token_is_not_printed() -> None:
    assert "secret" not in repr(Login("http://127.0.0.1:2", "secret"))


@pytest.mark.parametrize(("text", "expected"), [("45m", 2700), ("1h30m", 5400), ("2.5s", 2.5)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["45", "m", "1d", "5m x"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ProviderError, match="is no duration such as 45m"):
        seconds(text)
