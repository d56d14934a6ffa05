"""A login that the workspace refuses is told in a sentence, by a server on the loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from infra import layout, settings
from infra.errors import DeployError
from infra.settings import Settings
from scripts import connection
from scripts.cli.main import cli

SECRET = "dose-of-client-secret"


class _Refusing(BaseHTTPRequestHandler):
    """What OAuth for machines meets where the secret has run out."""

    def do_GET(self) -> None:
        oidc = f"http://{self.headers['Host']}/oidc"
        if self.path.endswith("databricks-config"):
            self._answer(200, {"oidc_endpoint": oidc})
        else:
            places = {"authorization_endpoint": f"{oidc}/v1/authorize"}
            self._answer(200, {**places, "token_endpoint": f"{oidc}/v1/token"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        told = {"error": "invalid_client", "error_description": "Client authentication failed"}
        self._answer(401, told)

    def _answer(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A workspace that refuses this shell's service principal."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DATABRICKS_")}
    monkeypatch.setattr(os, "environ", clean)  # a client's variables end with the test
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # its port 443 is not asked for
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "a-pipeline")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", SECRET)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dev(host: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The environment on that workspace, whoever loads it."""
    declared = settings.load("dev", layout.ENVIRONMENTS)
    there = declared.workspace.model_copy(update={"host": host, "profile": None})
    found = declared.model_copy(update={"workspace": there})
    monkeypatch.setattr(settings, "load", lambda *_: found)
    return found


def test_a_refused_login_is_an_error_of_ours(dev: Settings) -> None:
    with pytest.raises(DeployError, match="invalid_client: Client authentication") as caught:
        connection.workspace_client(dev)
    assert str(caught.value).startswith(f"no login for {dev.workspace.host}: ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("command", ["verify", "summary"])
def test_commands_tell_it_in_a_line(dev: Settings, command: str) -> None:
    result = CliRunner().invoke(cli, [command, "dev"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: no login for {dev.workspace.host}: ")
    assert "Traceback" not in result.output
    assert SECRET not in result.output
