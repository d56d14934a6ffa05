"""Four environments in one real local workspace, which serves from a thread of the tests."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any
from unittest.mock import patch

import requests
import uvicorn
from mlflow import MlflowClient

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.endpoint import describe
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.local_workspace.core.workspace import Workspace
from scgpt_databricks.local_workspace.identity import principals
from scgpt_databricks.local_workspace.server.app import create_app
from scgpt_databricks.local_workspace.server.process import Protocol
from scgpt_databricks.local_workspace.serving import scoring
from scgpt_databricks.model import registry
from scgpt_databricks.model.registry import Version
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.deploy.verify import await_endpoint
from scgpt_databricks.scripts.ledger import Entry, Ledger
from scgpt_databricks.scripts.release import traffic
from scgpt_databricks.scripts.release.candidates import served_as
from scgpt_databricks.scripts.release.point import WorkingTree, point_to
from tests.unit.local_workspace.serving import kit

LEFT_OUT = ("tracking.mlflow_server", "jobs.scheduler", "sql.statements")
_UNITY = "/api/2.1/unity-catalog"

_TOML = """
catalog = "{name}"
production = false
deletion_protection = false
[workspace]
local = true
profile = "local"
[endpoint]
name = "scgpt-{name}"
workload_type = "CPU"
timeout_minutes = 5
[gateway]
inference_table_prefix = ""
[promotion]
{promotion}
[state]
backend = "local"
"""
_SOURCES = {
    "dev": "",
    "main": "",
    "staging": 'source = "dev"',
    "prod": 'source = "staging"\napproval = true',
}


@dataclass(frozen=True)
class Lab:
    """The workspace, and the folder of the environments."""

    workspace: Workspace
    folder: Path

    def settings(self, name: str) -> Settings:
        return settings.load(name, self.folder)

    def call(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        token = principals.token_of(self.workspace, "admin")
        answer = requests.request(
            method,
            self.workspace.url + path,
            json=body or None,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    @contextmanager
    def fault(self, **rule: Any) -> Iterator[None]:
        """Let calls of the API go wrong for the length of a block."""
        self.call("POST", "/_local/faults", **{"path": "/api/*", "times": 0, **rule})
        try:
            yield
        finally:
            self.call("DELETE", "/_local/faults")

    def register(self, name: str, files: Path, **tags: str) -> Version:
        """Register files as a validated version of an environment, and return it."""
        digests = dict.fromkeys(registry.DIGESTS, "1" * 64)
        known = {**digests, registry.VALIDATED: "true", registry.LICENCE: "MIT"}
        known |= {registry.PROVENANCE: "the tests", **tags}
        with connected(self.settings(name)):
            model = self.settings(name).names.full_model
            made = MlflowClient().create_model_version(model, str(files), tags=known)
            return registry.get(model, int(made.version))

    def release(self, name: str, version: Version) -> None:
        """Let an environment serve a version, by its manifest and aliases."""
        point_to(self.settings(name), [served_as(version, "0" * 32)])
        with connected(self.settings(name)):
            registry.point_aliases(version.model, version.number)

    def deploy(self, name: str) -> None:
        """Make the endpoint as the manifest declares it."""
        body = describe(self.settings(name), WorkingTree().find(self.settings(name)))  # type: ignore[arg-type]
        self.call("POST", "/api/2.0/serving-endpoints", **body)
        with connected(self.settings(name)) as client:
            await_endpoint(client, self.settings(name))

    def live(self, name: str) -> dict[str, int] | None:
        """Name behind the endpoint -> percent."""
        with connected(self.settings(name)) as client:
            return traffic.live(client, self.settings(name))

    def versions(self, name: str) -> list[Version]:
        with connected(self.settings(name)):
            return registry.listed(self.settings(name).names.full_model)

    def aliases(self, name: str) -> dict[str, int]:
        with connected(self.settings(name)):
            return registry.aliases(self.settings(name).names.full_model)

    def served(self, name: str) -> dict[int, int]:
        """Version -> percent, as the manifest says."""
        found = release.find(
            self.settings(name).manifest_path, model=self.settings(name).names.full_model
        )
        return {each.version: each.traffic for each in found.served} if found else {}

    def history(self, name: str) -> list[Entry]:
        return self.ledger(name).entries()

    def ledger(self, name: str) -> Ledger:
        with connected(self.settings(name)) as client:
            return Ledger(client, self.settings(name))


@contextmanager
def running(folder: Path, leave_out: Sequence[str] = LEFT_OUT) -> Iterator[Lab]:
    """A workspace with a catalog, a schema, a model and a volume for each environment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    workspace = Workspace(folder / "workspace", f"http://127.0.0.1:{port}")
    app = create_app(workspace, leave_out=leave_out)
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, http=Protocol, log_level="error", lifespan="on")
    )
    thread = Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        environments = folder / "environments"
        environments.mkdir()
        lab = Lab(workspace, environments)
        _fill(lab)
        # A real process behind each served entity, without MLflow's start-up time.
        with patch.object(scoring, "command", kit.command):
            yield lab
    finally:
        server.should_exit = True
        thread.join()


def _fill(lab: Lab) -> None:
    token = principals.token_of(lab.workspace, "admin")
    # Clients give up at once: what goes wrong is to reach the commands.
    patience = "retry_timeout_seconds = 1\nhttp_timeout_seconds = 5\n"
    profile = f"[local]\nhost = {lab.workspace.url}\ntoken = {token}\n{patience}"
    (lab.folder / "databrickscfg").write_text(profile)
    for name, promotion in _SOURCES.items():
        (lab.folder / f"{name}.toml").write_text(_TOML.format(name=name, promotion=promotion))
        lab.call("POST", f"{_UNITY}/schemas", name="scgpt", catalog_name=name)
        within = {"catalog_name": name, "schema_name": "scgpt"}
        lab.call("POST", f"{_UNITY}/models", name="scgpt_gene_embeddings", **within)
        volume = {"name": "artifacts", "volume_type": "MANAGED"}
        lab.call("POST", f"{_UNITY}/volumes", **volume, **within)


def empty(lab: Lab, *names: str) -> None:
    """Take away versions, manifest and history of environments, and the endpoint."""
    for name in names:
        with connected(lab.settings(name)) as client:
            if traffic.live(client, lab.settings(name)) is not None:
                client.serving_endpoints.delete(lab.settings(name).names.endpoint)
        for version in lab.versions(name):
            with connected(lab.settings(name)):
                MlflowClient().delete_model_version(version.model, str(version.number))
        lab.settings(name).manifest_path.unlink(missing_ok=True)
        history = lab.workspace.files / "Volumes" / name / "scgpt" / "artifacts" / "history"
        shutil.rmtree(history, ignore_errors=True)
