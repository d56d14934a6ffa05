"""Endpoints over a small scoring server: a real process without MLflow's start-up time."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from databricks.sdk.service.sql import StatementExecutionAPI

from scgpt_databricks.local_workspace.catalog import versions
from scgpt_databricks.local_workspace.core.workspace import BUILDER_APPLICATION_ID, Workspace
from tests.unit.local_workspace.conftest import TestClient

BASE = "/api/2.0/serving-endpoints"
MODEL = "main.scgpt.m"
BUILDER = BUILDER_APPLICATION_ID

# Answers what it got, who it is and what it sees, or what {"say": {"status", "body", "sleep"}} in a
# request says. A version with a file "broken" does not start; of one with a file "device" it logs
# that device, as the engine does.
_SERVER = """
import http.server, json, os, pathlib, sys, time
model, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
if (model / "broken").exists():
    sys.exit("ModuleNotFoundError: No module named 'genes'")
if (model / "device").exists():
    device = (model / "device").read_text()
    print(f"INFO mlflow.scgpt: engine: {device}, torch.float32, 8192 tokens a batch", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    silent = 0  # so many queries get no answer
    def log_message(self, *args): pass
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200, b"")
    def do_POST(self):
        if getattr(self, "used", False) or Handler.silent > 0:  # one query of a connection
            Handler.silent -= 1
            self.close_connection = True
            return
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        if body.get("die"):
            os._exit(3)
        self.used = True
        Handler.silent = body.get("silent", 0)
        if "say" in body:
            said = body["say"]
            time.sleep(said.get("sleep", 0))
            return self.answer(said.get("status", 200), json.dumps(said.get("body", {})).encode())
        record = (body.get("dataframe_records") or [{}])[0]
        if "bad" in body or "bad" in record:
            error = {"error_code": "BAD_REQUEST", "message": "no column cell_id"}
            return self.answer(400, json.dumps(error).encode())
        if "fail" in body:
            return self.answer(500, b"{}")
        seen = {"version": model.name, "env": dict(os.environ)}
        seen |= {"path": sys.path, "cwd": os.getcwd(), "record": record, "vector": [0.5, 2]}
        extra = "x" * int(body.get("length", 0))
        lines = [seen] * record.get("lines", 1)
        answer = {"predictions": lines, "got": raw.decode(), "extra": extra}
        self.answer(200, json.dumps(answer).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def command(model: Path, port: int) -> list[str]:
    """Takes the place of ``scoring.command``."""
    return [sys.executable, "-c", _SERVER, str(model), str(port)]


def add_version(workspace: Workspace, *, broken: bool = False) -> int:
    """Register the next READY version of :data:`MODEL`."""
    number = int(versions.create(workspace, MODEL, "admin@local.test", {})["version"])
    folder = versions.folder(workspace, MODEL, number)
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    if broken:
        (folder / "broken").touch()
    versions.put(workspace, {**versions.get(workspace, MODEL, number), "status": versions.READY})
    return number


def entity(version: int, **more: Any) -> dict[str, Any]:
    return {"name": f"m-{version}", "entity_name": MODEL, "entity_version": str(version), **more}


def config(*shares: tuple[int, int]) -> dict[str, Any]:
    """A config of (version, percentage) pairs."""
    routes = [{"served_model_name": f"m-{v}", "traffic_percentage": p} for v, p in shares]
    entities = [entity(version) for version, _ in shares]
    return {"served_entities": entities, "traffic_config": {"routes": routes}}


def wait(client: TestClient, name: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """The endpoint once nothing is being rolled out."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"{BASE}/{name}").json()
        if found["state"]["config_update"] != "IN_PROGRESS":
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} is still being updated after {timeout_s} s: {found}")


def create(client: TestClient, name: str = "e", **body: Any) -> dict[str, Any]:
    """Create an endpoint and wait for it."""
    body = {"name": name, "config": config((1, 100)), **body}
    answer = client.post(BASE, json=body)
    assert answer.status_code == 200, answer.text
    return wait(client, name)


def query(client: TestClient, body: dict[str, Any] | None = None, name: str = "e") -> Any:
    return client.post(f"/serving-endpoints/{name}/invocations", json=body or {"inputs": [1]})


def sql(client: TestClient, statement: str, **more: Any) -> dict[str, Any]:
    """Run a statement to its end."""
    body = {"warehouse_id": "0123456789abcdef", "statement": statement, "wait_timeout": "30s"}
    answer = client.post("/api/2.0/sql/statements", json={**body, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(client: TestClient, statement: str, **more: Any) -> list[list[str | None]]:
    """The rows of a statement that succeeds."""
    found = sql(client, statement, **more)
    assert found["status"]["state"] == "SUCCEEDED", found
    data: list[list[str | None]] = found.get("result", {}).get("data_array", [])
    return data


def wheel(package: str, code: str) -> bytes:
    """A wheel of one module whose function `main` is an entry point."""
    info = f"{package}-1.dist-info"
    files = {
        f"{package}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\nmain = {package}:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


class _Api:
    """The SDK's transport, over the running application."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._cfg = SimpleNamespace(workspace_id=None)

    def do(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()


def statements(client: TestClient) -> Any:
    """As much of the SDK's client as asks a warehouse."""
    api: Any = StatementExecutionAPI
    return SimpleNamespace(statement_execution=api(_Api(client)))
