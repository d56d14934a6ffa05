"""State behind HTTP, with real Terraform: where it goes, who may read it, who holds the lock."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.bindings import App
from scgpt_databricks.infra.main import build

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

USER, PASSWORD = "pipeline", "hunter2-hunter2"
STACK = "dev-registry"


class Store(ThreadingHTTPServer):
    """States and locks by path, as GitLab keeps them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        document = self.server.documents.get(self.path)
        self._answer(404 if document is None else 200, document or b"")

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path.endswith("/lock") and path in self.server.documents:
            self._answer(423, self.server.documents[path])
            return
        self._answer(200, keep=(path, body))

    def do_DELETE(self) -> None:
        self.server.documents.pop(self.path, None)
        self._answer(200)

    def _answer(
        self, status: int, body: bytes = b"", keep: tuple[str, bytes] | None = None
    ) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != expected:
            status, body, keep = 401, b"", None
        if keep is not None:
            self.server.documents[keep[0]] = keep[1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on the tests' stderr."""


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """The backend of a synthesised stack, around a resource that needs no provider."""
    (tmp_path / "dev.toml").write_text(
        'catalog = "dev"\n[workspace]\nhost = "https://dbc-1.cloud.databricks.com"\n'
        f'[state]\nbackend = "http"\naddress = "{store.url}/scgpt/"\noptions = {{ retry_max = 0 }}'
    )
    app = App(outdir=str(tmp_path / "out"))
    build(app, settings.load("dev", tmp_path), None)
    app.synth()
    stack = json.loads((tmp_path / "out" / "stacks" / STACK / "cdk.tf.json").read_text())
    work = tmp_path / "work"
    work.mkdir()
    (work / "main.tf.json").write_text(
        json.dumps(
            {
                "terraform": {"backend": stack["terraform"]["backend"]},
                "resource": {"terraform_data": {"it": {"input": "value"}}},
            }
        )
    )
    return work


def terraform(folder: Path, *arguments: str, password: str = PASSWORD) -> tuple[int, str]:
    done = subprocess.run(
        ["terraform", *arguments, "-input=false", "-no-color"],
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("TF_")},
            "TF_HTTP_USERNAME": USER,
            "TF_HTTP_PASSWORD": password,
            "CHECKPOINT_DISABLE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_state_goes_to_its_address_and_credentials_stay_in_the_environment(
    store: Store, folder: Path
) -> None:
    assert terraform(folder, "init")[0] == 0
    code, said = terraform(folder, "apply", "-auto-approve")
    assert code == 0, said
    path = f"/scgpt/{STACK}"
    assert list(store.documents) == [path], "the lock is gone"
    assert json.loads(store.documents[path])["resources"][0]["type"] == "terraform_data"
    assert terraform(folder, "plan", "-detailed-exitcode")[0] == 0
    for file in folder.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


def test_a_wrong_password_reads_nothing(store: Store, folder: Path) -> None:
    code, said = terraform(folder, "init", password="wrong")
    assert code != 0
    assert "requires auth" in said
    assert store.documents == {}


def test_somebody_elses_lock_is_respected(store: Store, folder: Path) -> None:
    assert terraform(folder, "init")[0] == 0
    held = {"ID": "somebody-elses", "Who": "somebody@elsewhere", "Created": "2026-11-21T08:00:00Z"}
    store.documents[f"/scgpt/{STACK}/lock"] = json.dumps(held).encode()
    code, said = terraform(folder, "apply", "-auto-approve")
    assert code != 0
    # Terraform prints the other lock's id, and its own name beside it.
    assert "already locked: ID=somebody-elses" in said
    assert list(store.documents) == [f"/scgpt/{STACK}/lock"]
