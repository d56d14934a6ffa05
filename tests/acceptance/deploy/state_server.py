"""A server of Terraform states as GitLab and others have one: GET, POST, DELETE, and a lock."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

USER, PASSWORD = "pipeline", "state-password-0815"
_EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class StateServer:
    """The documents of the server."""

    url: str = ""
    states: dict[str, bytes] = field(default_factory=dict)
    locks: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[StateServer]:
    """A server on a free loopback port."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.held.url = f"http://127.0.0.1:{server.server_port}/states"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.held = StateServer()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if (name := self._name()) is not None:
            state = self.server.held.states.get(name)
            self._answer(204 if state is None else 200, state or b"")

    def do_POST(self) -> None:
        held, body = self.server.held, self._body()
        if (name := self._name()) is None:
            return
        if not name.endswith("/lock"):
            held.states[name] = body
            self._answer(200)
        elif name in held.locks:
            self._answer(423, json.dumps(held.locks[name]).encode())
        else:
            held.locks[name] = json.loads(body)
            self._answer(200)

    def do_DELETE(self) -> None:
        held = self.server.held
        self._body()
        if (name := self._name()) is not None:
            held.locks.pop(name, None)
            held.states.pop(name, None)
            self._answer(200)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _name(self) -> str | None:
        path = self.path.partition("?")[0]
        self.server.held.calls.append((self.command, path))
        if self.headers.get("Authorization") != _EXPECTED:
            self._answer(401)
            return None
        return path.removeprefix("/states/")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
