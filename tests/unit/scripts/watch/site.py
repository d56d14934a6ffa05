"""One environment in a real local workspace that serves from a thread of the tests.

Its scoring process is that of the workspace's own tests: it logs a device, and answers as asked.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any
from unittest.mock import patch

import requests
import uvicorn
from click.testing import CliRunner, Result

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import principals
from scgpt_databricks.local_workspace.server.app import create_app
from scgpt_databricks.local_workspace.server.process import Protocol
from scgpt_databricks.local_workspace.serving import scoring
from scgpt_databricks.scripts.cli.main import cli
from tests.unit.local_workspace.serving import kit

UNITY = "/api/2.1/unity-catalog"
SERVING = "/api/2.0/serving-endpoints"
MODEL = "scgpt_gene_embeddings"
WAREHOUSE = "0123456789abcdef"

_TOML = f"""
catalog = "main"
production = false
deletion_protection = false
[workspace]
local = true
profile = "local"
[endpoint]
name = "scgpt-watched"
workload_type = "CPU"
timeout_minutes = 5
[monitoring]
warehouse_id = "{WAREHOUSE}"
[state]
backend = "local"
"""


@dataclass(frozen=True)
class Site:
    """The workspace, and the folder of the environment ``watched``."""

    workspace: Workspace
    folder: Path

    @property
    def settings(self) -> Settings:
        return settings.load("watched", self.folder)

    def call(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        answer = self.ask(method, path, **body)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, method: str, path: str, /, who: str = "admin", **body: Any) -> requests.Response:
        token = principals.token_of(self.workspace, who)
        return requests.request(
            method,
            self.workspace.url + path,
            json=body or None,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )

    def request(self, **said: Any) -> requests.Response:
        """Send a request that is answered as `said`."""
        name = self.settings.names.endpoint
        return self.ask("POST", f"/serving-endpoints/{name}/invocations", say=said)

    def scgpt(self, *arguments: str) -> Result:
        """Run a command; the environment's name and folder are filled in."""
        words = [*arguments, "--environments", str(self.folder)]
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    def add_version(self, device: str = "cpu") -> int:
        """Register the next version, which says that it computes on a device."""
        number = kit.add_version(self.workspace)
        path = self.workspace.files / "Models" / "main" / "scgpt" / MODEL / str(number)
        (path / "device").write_text(device)
        return number

    def serve(self, *shares: tuple[int, int], workload_type: str = "CPU", **more: Any) -> None:
        """Let the endpoint serve versions at percents, and wait for it."""
        model = self.settings.names.full_model
        entities = [
            {
                "name": f"{MODEL}-{version}",
                "entity_name": model,
                "entity_version": str(version),
                "workload_size": "Small",
                "workload_type": workload_type,
            }
            for version, _ in shares
        ]
        routes = [
            {"served_model_name": f"{MODEL}-{version}", "traffic_percentage": percent}
            for version, percent in shares
        ]
        config = {"served_entities": entities, "traffic_config": {"routes": routes}}
        name = self.settings.names.endpoint
        if self.ask("GET", f"{SERVING}/{name}").ok:
            self.call("PUT", f"{SERVING}/{name}/config", **config)
        else:
            self.call("POST", SERVING, name=name, config=config, **more)
        self.await_endpoint()

    def await_endpoint(self) -> None:
        """Wait until nothing is being rolled out."""
        path = f"{SERVING}/{self.settings.names.endpoint}"
        deadline = monotonic() + 60
        while self.call("GET", path)["state"]["config_update"] == "IN_PROGRESS":
            assert monotonic() < deadline, "the endpoint is still being updated"
            sleep(0.02)

    def remove_endpoint(self) -> None:
        name = self.settings.names.endpoint
        if self.ask("GET", f"{SERVING}/{name}").ok:
            self.call("DELETE", f"{SERVING}/{name}")

    def gateway(self) -> dict[str, Any]:
        """Return the gateway that switches the environment's inference table on."""
        table = {
            "catalog_name": "main",
            "schema_name": "scgpt",
            "table_name_prefix": self.settings.gateway.inference_table_prefix,
        }
        return {"inference_table_config": {"enabled": True, **table}}

    def sql(self, statement: str, who: str = "admin") -> dict[str, Any]:
        answer = self.ask(
            "POST",
            "/api/2.0/sql/statements",
            who,
            warehouse_id=WAREHOUSE,
            statement=statement,
            wait_timeout="30s",
        )
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, statement: str) -> list[list[str | None]]:
        found = self.sql(statement)
        assert found["status"]["state"] == "SUCCEEDED", found["status"]
        data: list[list[str | None]] = found.get("result", {}).get("data_array", [])
        return data


def as_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A workspace with a schema, a model and a volume."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    workspace = Workspace(folder / "workspace", f"http://127.0.0.1:{port}")
    app = create_app(workspace, leave_out=("tracking.mlflow_server",))
    config = uvicorn.Config(app, port=port, http=Protocol, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        environments = folder / "environments"
        environments.mkdir()
        (environments / "watched.toml").write_text(_TOML)
        site = Site(workspace, environments)
        token = principals.token_of(workspace, "admin")
        profile = f"[local]\nhost = {workspace.url}\ntoken = {token}\n"
        (environments / "databrickscfg").write_text(profile)
        site.call("POST", f"{UNITY}/schemas", name="scgpt", catalog_name="main")
        within = {"catalog_name": "main", "schema_name": "scgpt"}
        site.call("POST", f"{UNITY}/models", name=MODEL, **within)
        site.call("POST", f"{UNITY}/volumes", name="artifacts", volume_type="MANAGED", **within)
        with (
            patch.object(scoring, "command", kit.command),
            patch.object(kit, "MODEL", f"main.scgpt.{MODEL}"),
        ):
            yield site
    finally:
        server.should_exit = True
        thread.join()
