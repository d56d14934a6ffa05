"""A server on loopback for as long as a test needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """Reads a body, answers JSON, and writes nothing beside the tests' output."""

    def sent(self) -> bytes:
        """The request's body."""
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_oidc(self, host: str) -> None:
        """Say where tokens are to be had, as Databricks' clients ask."""
        oidc = f"{host}/oidc"
        if self.path.endswith("databricks-config"):
            self.answer(200, {"oidc_endpoint": oidc})
        else:
            places = {"authorization_endpoint": f"{oidc}/v1/authorize"}
            self.answer(200, {**places, "token_endpoint": f"{oidc}/v1/token"})

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server that is gone after the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
