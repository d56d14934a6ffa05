"""Child processes: they stop when told, and when their parent is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scgpt_databricks.local_workspace.core.children import Child, ChildError, free_port

_ENV = {"PATH": os.environ["PATH"]}
_GRANDCHILD = "import os, time; print('up', os.getpid(), flush=True); time.sleep(99)"
_SLEEPER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_GRANDCHILD!r}])"
_STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', os.getpid(), flush=True); time.sleep(99)"
)
_PARENT = """
import sys, time
from pathlib import Path
from scgpt_databricks.local_workspace.core.children import Child
child = Child.start("c", [sys.executable, "-c", sys.argv[1]], {}, Path(sys.argv[2]))
time.sleep(99)
"""


def _alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not, though nobody has asked for its end."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return not stat.rpartition(")")[2].startswith(" Z")


def _wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _up(log: Path) -> int:
    """Wait until the process that writes this log says that it is up; return its id."""
    _wait(lambda: log.exists() and log.read_text().endswith("\n"))
    word, pid = log.read_text().split()
    assert word == "up"
    return int(pid)


def test_a_child_stops_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    child = Child.start("c", [sys.executable, "-c", _SLEEPER], _ENV, log)
    grandchild = _up(log)
    assert child.alive
    child.stop()
    assert not child.alive
    _wait(lambda: not _alive(grandchild))
    child.stop()


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    child = Child.start("c", [sys.executable, "-c", _STUBBORN], _ENV, log)
    stubborn = _up(log)
    child.stop()
    _wait(lambda: not _alive(stubborn))


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    argv = [sys.executable, "-c", _PARENT, _SLEEPER, str(log)]
    parent = subprocess.Popen(argv)
    grandchild = _up(log)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait(lambda: not _alive(grandchild))


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
