"""The process of one instance: holds its lock, serves its application, says when it is ready."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..core.children import ChildError
from ..core.workspace import Workspace
from ..identity import principals
from ..tracking import mlflow_server
from .app import create_app
from .instance import FACTS, LOCK

_log = logging.getLogger(__name__)


class Protocol(H11Protocol):
    """HTTP with the connection in reach of the application, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio leaves Nagle's algorithm on for a socket that it did not make: 40 ms per call.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """A server that writes down when everything behind it answers too."""

    def __init__(self, config: uvicorn.Config, workspace: Workspace, facts: dict[str, Any]) -> None:
        super().__init__(config)
        self._workspace, self._facts = workspace, facts
        self._announcement: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._announcement = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        try:
            await mlflow_server.wait_ready(self._workspace)
        except ChildError:
            _log.exception("the MLflow server could not be started")
            self.should_exit = True
        else:
            write_facts(self._workspace.folder, {**self._facts, "ready": True})


def serve(folder: Path, port: int, config: Path) -> None:
    """Serve an instance until SIGTERM or SIGINT.

    Parameters
    ----------
    folder
        The instance; made when absent.
    port
        On 127.0.0.1.
    config
        Databricks configuration file to write.

    Raises
    ------
    OSError
        The instance runs already (its lock is held), or the port is taken.
    """
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK).open("w")
    _take(lock)
    listener = socket.create_server(("127.0.0.1", port))
    facts = {"pid": os.getpid(), "port": port, "config": str(config), "ready": False}
    write_facts(folder, facts)
    workspace = Workspace(folder, f"http://127.0.0.1:{port}")
    app = create_app(workspace)
    principals.write_config(workspace, config)
    settings = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        access_log=False,
        log_config=None,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=5,
    )
    _Server(settings, workspace, facts).run(sockets=[listener])
    lock.close()


def _take(lock: IO[str]) -> None:
    """Lock the instance; somebody who only looks whether it is locked holds it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Replace the instance's description in one step."""
    new = folder / f"{FACTS}.new"
    new.write_text(json.dumps(facts))
    new.replace(folder / FACTS)
