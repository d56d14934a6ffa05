"""Instances of the local workspace: start, stop, look at, reset.

An instance is a folder and a port; any number of them run side by side. Whether one runs is told
by the lock that its process holds, so a killed process leaves nothing behind that confuses.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.children import environment_without, tail

LOCK, FACTS = "lock", "instance.json"
DEFAULT_PORT = 8765

State = Literal["stopped", "starting", "running"]

_STORE = "store.sqlite"


class WorkspaceError(Exception):
    """A local workspace cannot do what was asked; the message says why and what to do."""


class AlreadyRunning(WorkspaceError):  # noqa: N818 - callers treat it as a state, not a failure
    """The instance runs; ``info`` says where."""

    def __init__(self, info: Info) -> None:
        super().__init__(f"The local workspace in {info.folder} is already running at {info.url}.")
        self.info = info


class PortTaken(WorkspaceError):  # noqa: N818 - reads as what it is
    """Somebody else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program. Stop that program, name "
            "another port, or name none: then the next free one is found."
        )


@dataclass(frozen=True)
class Info:
    """The facts about an instance.

    ``port``, ``config`` and ``pid`` are those of the last start; None before the first one.
    """

    folder: Path
    state: State
    port: int | None = None
    pid: int | None = None
    config: Path | None = None

    @property
    def url(self) -> str | None:
        return f"http://127.0.0.1:{self.port}" if self.port else None

    @property
    def logs(self) -> dict[str, Path]:
        """Log files that exist, by name (``server``, ``mlflow``, ...)."""
        return {path.stem: path for path in sorted((self.folder / "logs").glob("*.log"))}


def start(
    folder: Path,
    port: int | None = None,
    config: Path | None = None,
    timeout_s: float = 600.0,
) -> Info:
    """Start an instance in a process of its own and return when everything answers.

    Parameters
    ----------
    folder
        The instance; made when absent, continued otherwise.
    port
        On 127.0.0.1. By default that of the last start, else 8765, or the next one that is free.
    config
        Databricks configuration file to write; default: ``databrickscfg`` beside `folder`.

    Raises
    ------
    AlreadyRunning
        It runs, or somebody else is starting it.
    PortTaken
        Another program listens on the port that was asked for.
    WorkspaceError
        It did not get ready in time, or its process ended.
    """
    folder = folder.resolve()
    before = status(folder)
    if before.state != "stopped":
        raise AlreadyRunning(before)
    if port is None:
        port = _free_port(before.port or DEFAULT_PORT)
    elif not _is_free(port):
        raise PortTaken(port)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    log = folder / "logs" / "server.log"
    arguments = ["--folder", str(folder), "--port", str(port)]
    arguments += ["--config", str((config or folder.parent / "databrickscfg").resolve())]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "scgpt_databricks.local_workspace", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            # Settings of clients must not reach the MLflow server or a served model.
            env=environment_without("DATABRICKS_", "MLFLOW_"),
            start_new_session=True,
        )
    return _wait_ready(folder, process, log, timeout_s)


def stop(folder: Path, timeout_s: float = 30.0) -> Info:
    """Stop an instance and its child processes; harmless when it does not run.

    Raises
    ------
    WorkspaceError
        It still runs after `timeout_s` seconds, although it was killed.
    """
    folder = folder.resolve()
    info = status(folder)
    if info.pid is None or info.state == "stopped":
        return info
    os.kill(info.pid, signal.SIGTERM)
    if not _wait_stopped(folder, timeout_s):
        os.kill(info.pid, signal.SIGKILL)
        if not _wait_stopped(folder, 5.0):
            raise WorkspaceError(f"Process {info.pid} of the instance in {folder} does not end.")
    return status(folder)


def status(folder: Path) -> Info:
    """Return whether an instance runs, and its address."""
    folder = folder.resolve()
    facts = _facts(folder)
    state: State = "stopped"
    if _locked(folder):
        state = "running" if facts.get("ready") else "starting"
    config = facts.get("config")
    return Info(
        folder,
        state,
        facts.get("port"),
        facts.get("pid") if state != "stopped" else None,
        Path(config) if config else None,
    )


def reset(folder: Path) -> None:
    """Remove an instance with all that it holds.

    Raises
    ------
    WorkspaceError
        It runs, or the folder is no instance.
    """
    folder = folder.resolve()
    info = status(folder)
    if info.state != "stopped":
        raise WorkspaceError(f"The local workspace in {folder} is {info.state}: stop it first.")
    if not folder.exists():
        return
    if not (folder / _STORE).exists():
        raise WorkspaceError(f"{folder} holds no local workspace; nothing was removed.")
    shutil.rmtree(folder)


def _free_port(first: int) -> int:
    """Return the first port from this one on that no program has."""
    return next(port for port in range(first, first + 1000) if _is_free(port))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _wait_ready(
    folder: Path, process: subprocess.Popen[bytes], log: Path, timeout_s: float
) -> Info:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        info = status(folder)
        if info.pid == process.pid and info.state == "running":
            return info
        if process.poll() is not None:
            if info.state != "stopped":
                raise AlreadyRunning(info)
            raise WorkspaceError(f"The local workspace ended while starting.\n{tail(log)}")
        time.sleep(0.1)
    process.terminate()
    process.wait(30)
    raise WorkspaceError(f"The local workspace was not ready in {timeout_s:.0f} s.\n{tail(log)}")


def _wait_stopped(folder: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while _locked(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _locked(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
    except FileNotFoundError:
        return {}
    return facts
