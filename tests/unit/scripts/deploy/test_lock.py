"""Two deploys at once: the second one says who holds the lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.deploy import lock
from scgpt_databricks.scripts.deploy.lock import held_elsewhere, only_one

HOLD = """
import sys
from pathlib import Path
from scgpt_databricks.scripts.deploy.lock import only_one
with only_one(Path(sys.argv[1]), "deploy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "dev.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeployError) as caught, only_one(path, "plan"):
            pass
        message = str(caught.value)
        assert message.startswith("dev is locked: ")
        assert "runs deploy since 20" in message
        assert f"(process {holder.pid})" in message
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with only_one(path, "plan"):
        assert f'"pid": {os.getpid()}' in path.read_text(), "a killed holder holds nothing"
    with only_one(path, "plan"):
        pass


def test_it_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_one(tmp_path / "dev.lock", "plan"):
        raise ZeroDivisionError
    with only_one(tmp_path / "dev.lock", "plan"):
        pass


def test_a_user_without_a_name_may_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    with only_one(tmp_path / "dev.lock", "plan"):
        assert '"who": "user 987654@' in (tmp_path / "dev.lock").read_text()


TERRAFORM = """Error acquiring the state lock: Error message: resource temporarily unavailable
Lock Info:
  ID:        1f3e5d7c-0000-1111-2222-333344445555
  Path:
  Operation: OperationTypeApply
  Who:       ann@builder
  Version:   1.11.4
  Created:   2026-11-21 07:12:13.5 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state from being written
by multiple users at the same time.
"""


def test_terraforms_own_lock_is_told_in_a_sentence(tmp_path: Path) -> None:
    said = held_elsewhere("dev-serving", TERRAFORM, tmp_path, {})
    assert said is not None
    assert "dev-serving: the state is locked: ann@builder runs Apply since 2026-11-21" in said
    assert "terraform force-unlock 1f3e5d7c-0000-1111-2222-333344445555" in said
    assert "\n" not in said
    assert held_elsewhere("dev-serving", "Error: no such bucket", tmp_path, {}) is None


class _Free(BaseHTTPRequestHandler):
    """A server of states whose lock was let go of in between, and that then fails for a while."""

    server: _Server

    def do_POST(self) -> None:
        self.server.held = json.loads(self._body())["ID"]
        self._answer(200)

    def do_DELETE(self) -> None:
        self._body()
        self.server.failures -= 1
        if self.server.failures >= 0:
            self._answer(503)
            return
        self.server.held = None
        self._answer(200)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    held: str | None = None
    failures = 0


@contextmanager
def _freed(folder: Path, failures: int) -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Free)
    server.failures = failures
    address = f"http://127.0.0.1:{server.server_port}/dev/lock"
    backend = {
        "lock_address": address,
        "lock_method": "POST",
        "unlock_address": address,
        "unlock_method": "DELETE",
    }
    (folder / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"http": backend}}}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


MET = "Error acquiring the state lock: HTTP remote state already locked: ID=1f3e5d7c"


@pytest.mark.parametrize("failures", [0, 2])
def test_a_lock_that_is_free_by_now_stays_free(
    failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PAUSES", (0.0, 0.0))
    with _freed(tmp_path, failures) as server:
        said = held_elsewhere("dev-serving", MET, tmp_path, {})
        assert server.held is None, "whoever asks for the holder leaves no lock"
    assert said is not None
    assert "terraform force-unlock 1f3e5d7c" in said


def test_a_lock_that_cannot_be_given_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PAUSES", (0.0, 0.0))
    with _freed(tmp_path, 99) as server:
        said = held_elsewhere("dev-serving", MET, tmp_path, {})
        assert said is not None
        assert f"terraform force-unlock {server.held}" in said
        assert server.failures == 96, "tried three times"
