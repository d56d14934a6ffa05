"""Child processes: they stop when told, and when their parent is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scgpt_databricks.local_workspace.core.children import Child, ChildError, free_port

_ENV = {"PATH": os.environ["PATH"]}
_SLEEPER = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
)
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
    "time.sleep(99)"
)
_PARENT = """
import sys, time
from pathlib import Path
from scgpt_databricks.local_workspace.core.children import Child
child = Child.start("c", [sys.executable, "-c", sys.argv[1]], {}, Path(sys.argv[2]))
print(child.pid, flush=True)
time.sleep(99)
"""


def _group(pid: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_gone(pid: int, seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while _group(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _group(pid)


def test_a_child_stops_with_what_it_started(tmp_path: Path) -> None:
    child = Child.start("c", [sys.executable, "-c", _SLEEPER], _ENV, tmp_path / "c.log")
    time.sleep(0.3)
    assert child.alive
    child.stop()
    assert not child.alive
    assert _wait_gone(child.pid)
    child.stop()


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    child = Child.start("c", [sys.executable, "-c", _STUBBORN], _ENV, log)
    while not log.exists() or "up" not in log.read_text():
        time.sleep(0.05)
    child.stop()
    assert _wait_gone(child.pid)


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _PARENT, _SLEEPER, str(tmp_path / "c.log")]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert _group(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert _wait_gone(pid)


def test_waiting_ends_when_the_child_does(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    child = Child.start("scorer", argv, _ENV, tmp_path / "c.log")
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(ChildError, match=r"(?s)scorer ended.*no such thing"):
        asyncio.run(child.wait_healthy(url, 30))
    child.stop()


def test_waiting_ends_when_the_child_answers(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    child = Child.start("web", argv, _ENV, tmp_path / "c.log", tmp_path)
    asyncio.run(child.wait_healthy(f"http://127.0.0.1:{port}/", 30))
    assert child.alive
    child.stop()
