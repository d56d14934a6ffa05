"""A workspace of a hundred lines: what the six types need, in memory, with faults to order."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "dapi-very-secret"
CATALOG = "/api/2.1/unity-catalog"
ENDPOINTS = "/api/2.0/serving-endpoints"
ME = "admin@local.test"


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Workspace:
    """The state of the stub, what it was sent, and the faults that it shall have.

    Attributes
    ----------
    faults
        Method and path -> answers to give instead, in order.
    update_state
        What an endpoint says of its update.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, dict[str, set[str]]] = {}
        self.lists: dict[str, list[Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.agents: set[str] = set()
        self.faults: dict[tuple[str, str], list[RefusedError]] = {}
        self.update_state = "NOT_UPDATING"
        self.lock = threading.Lock()

    def answer(self, token: str, method: str, path: str, body: Any) -> Any:
        if token != TOKEN:
            raise RefusedError(403, "Invalid access token.")
        with self.lock:
            self.requests.append((method, path, body))
            if waiting := self.faults.get((method, path)):
                raise waiting.pop(0)
            return self._answer(method, path, body)

    def writes(self) -> list[tuple[str, str, Any]]:
        return [request for request in self.requests if request[0] != "GET"]

    def _answer(self, method: str, path: str, body: Any) -> Any:
        if path.endswith("/scim/v2/Me"):
            return {"id": "1", "userName": ME}
        if path.endswith("/current-metastore-assignment"):
            return {"metastore_id": "m-1", "workspace_id": 1}
        if path.startswith(f"{CATALOG}/permissions/"):
            return self._grants(path, body)
        if path.startswith("/api/2.0/permissions/"):
            return self._list(path, body)
        if path.startswith(ENDPOINTS):
            return self._endpoint(method, path, body)
        return self._object(method, path, body)

    def _object(self, method: str, path: str, body: Any) -> Any:
        if method == "POST":
            parts = [body[part] for part in ("catalog_name", "schema_name", "name") if part in body]
            made = {**body, "full_name": ".".join(parts), "owner": ME, "metastore_id": "m-1"}
            self.objects[f"{path}/{made['full_name']}"] = made
            return made
        held = self._held(path)
        if method == "PATCH":
            held.update(body)
        if method == "DELETE":
            del self.objects[path]
        return held

    def _held(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise RefusedError(404, f"{path} does not exist")
        return self.objects[path]

    def _grants(self, path: str, body: Any) -> Any:
        held = self.grants.setdefault(path, {})
        for change in (body or {}).get("changes", []):
            now = held.setdefault(change["principal"], set())
            now.update(change.get("add", []))
            now.difference_update(change.get("remove", []))
        listed = [{"principal": p, "privileges": sorted(now)} for p, now in held.items() if now]
        return {"privilege_assignments": listed}

    def _list(self, path: str, body: Any) -> Any:
        if body:
            self.lists[path] = body["access_control_list"]
        entries = [
            {
                **{key: value for key, value in entry.items() if key != "permission_level"},
                "all_permissions": [{"permission_level": entry["permission_level"]}],
            }
            for entry in self.lists.get(path, [])
        ]
        kind = {"object_type": "serving-endpoint", "object_id": path.split("permissions")[1]}
        return {**kind, "access_control_list": entries}

    def _endpoint(self, method: str, path: str, body: Any) -> Any:
        if method == "POST":
            made = {**body, "id": f"id-{body['name']}", "state": {}}
            made["state"]["config_update"] = self.update_state
            self.objects[f"{ENDPOINTS}/{body['name']}"] = made
            return made
        name, _, part = path.removeprefix(f"{ENDPOINTS}/").partition("/")
        held = self._held(f"{ENDPOINTS}/{name}")
        held["state"]["config_update"] = self.update_state
        if method == "DELETE":
            del self.objects[path]
        elif part == "tags":
            gone = {*body.get("delete_tags", []), *(t["key"] for t in body.get("add_tags", []))}
            kept = [tag for tag in held.get("tags", []) if tag["key"] not in gone]
            held["tags"] = kept + body.get("add_tags", [])
        elif part:
            held[part.replace("-", "_")] = body
        return held


class _Handler(BaseHTTPRequestHandler):
    workspace: Workspace

    def _respond(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.workspace.agents.add(self.headers["User-Agent"])
        status, answer = 200, {}
        token = self.headers["Authorization"].removeprefix("Bearer ")
        try:
            body = json.loads(content) if content else None
            answer = self.workspace.answer(token, self.command, self.path, body)
        except RefusedError as refusal:
            status, answer = refusal.status, {"message": str(refusal)}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on standard error."""


def serve(workspace: Workspace) -> ThreadingHTTPServer:
    """Serve on a free port of loopback; the caller shuts it down."""
    handler = type("Handler", (_Handler,), {"workspace": workspace})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
