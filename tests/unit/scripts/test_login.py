"""A login that the workspace refuses is told in a sentence, by a server on the loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.scripts import connection
from scgpt_databricks.scripts.cli.main import cli
from tests.unit.loopback import JsonHandler, listening

SECRET = "dose-of-client-secret"


class _Refusing(JsonHandler):
    """Answers as OAuth for machines does to a secret that has run out."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.answer_oidc(f"http://{self.headers['Host']}")

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        self.sent()
        told = {"error": "invalid_client", "error_description": "Client authentication failed"}
        self.answer(401, told)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A workspace that refuses this shell's service principal."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DATABRICKS_")}
    monkeypatch.setattr(os, "environ", clean)  # a client's variables end with the test
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "a-pipeline")
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", SECRET)
    with listening(_Refusing) as port:
        yield f"http://127.0.0.1:{port}"


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
