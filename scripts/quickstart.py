"""The main job from nothing: real cells embedded through a deployed endpoint of the local
workspace.

Each step can be run again and finds what it needs, so a quickstart that was stopped anywhere, or
whose workspace was killed, is simply started again.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import anndata
import numpy as np

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.layout import ROOT, runtime_folder
from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.settings import Settings, load
from scgpt_databricks.local_workspace.server.instance import AlreadyRunning, start
from scgpt_databricks.model.cells.job_options import OBSM_KEY
from scgpt_databricks.model.judge.metrics import knn_accuracy, principal_components
from scgpt_databricks.model.scgpt.demo import (
    copy_shipped,
    is_shipped,
    pbmc_cells,
    random_checkpoint,
)
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.whole_file import draft_in_any_order, write_text

from .connection import workspace_client
from .deploy import child_environment, second_plan
from .deploy.variables import provider
from .embed import embed_through_endpoint, smoke
from .picture import umap_picture
from .release.build import build_for
from .wheel import upload

ENVIRONMENT = "local"
LABELS = "bulk_labels"
TITLE = """700 PBMC cells through the local endpoint: kNN accuracy {knn_accuracy}
(never trained: {knn_accuracy_random}; principal components: {knn_accuracy_pca})
Demo checkpoint, trained on 500 of them: a smoke test"""


class Screen(Protocol):
    """Shows the user how far the quickstart is."""

    def say(self, text: str) -> None: ...

    def update(self, done: int, total: int) -> None: ...


@dataclass
class Quickstart:
    """One run of the quickstart."""

    port: int | None
    screen: Screen
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    @cached_property
    def settings(self) -> Settings:
        return load(ENVIRONMENT)

    @cached_property
    def home(self) -> Path:
        return runtime_folder(self.settings.folder)

    @property
    def folder(self) -> Path:
        return self.home / "quickstart"

    def steps(self) -> dict[str, Callable[[], None]]:
        """Return the function of each step, in order."""
        return {
            "workspace": self.start_workspace,
            "checkpoint": self.make_checkpoints,
            "registry": self.deploy_registry,
            "build": self.build,
            "serving": self.deploy_serving,
            "monitoring": self.deploy_monitoring,
            "embed": self.embed,
            "evaluate": self.evaluate,
            "inference_table": self.read_inference_table,
            "second_plan": self.plan_again,
        }

    @contextmanager
    def timed(self, key: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[key] = round(time.perf_counter() - started, 1)

    def start_workspace(self) -> None:
        try:
            info = start(self.home / "workspace", self.port)
        except AlreadyRunning as running:
            info = running.info
        self.facts["provider"] = provider().label
        self.screen.say(f"workspace at {info.url}; Terraform provider: {self.facts['provider']}")

    def make_checkpoints(self) -> None:
        folder = copy_shipped(self.home / "demo" / "checkpoint")
        self.facts["checkpoint"] = "shipped" if is_shipped(folder) else "trained here"
        random_checkpoint(self.home / "demo" / "random")

    def deploy_registry(self) -> None:
        self._cdktf_deploy("registry")

    def build(self) -> None:
        built = build_for(
            ENVIRONMENT,
            self.home / "demo" / "checkpoint",
            clean_environment=False,  # minutes where packages are not cached
            notify=self.screen.say,
        )
        self.facts["model_version"] = built.version.version

    def deploy_serving(self) -> None:
        self._cdktf_deploy("serving")
        endpoint = workspace_client(self.settings).serving_endpoints.get(
            self.settings.names.endpoint
        )
        state = endpoint.state.ready if endpoint.state else None
        self.facts["endpoint_state"] = state.value if state else "unknown"
        smoke(ENVIRONMENT)

    def deploy_monitoring(self) -> None:
        upload(workspace_client(self.settings), self.settings)
        self._cdktf_deploy("monitoring")

    def embed(self) -> None:
        cells = pbmc_cells()
        report = embed_through_endpoint(
            ENVIRONMENT,
            cells,
            request_prefix=f"quickstart-{self.run_id}",
            progress=self.screen.update,
        )
        self.facts["requests_sent"] = report.requests
        with draft_in_any_order(self.folder / "pbmc_scgpt.h5ad") as path:
            cells.write_h5ad(path)
        self.facts["cells"], self.facts["embedding_dim"] = cells.obsm[OBSM_KEY].shape

    def evaluate(self) -> None:
        cells = anndata.read_h5ad(self.folder / "pbmc_scgpt.h5ad")
        labels = cells.obs[LABELS].astype(str).to_numpy()
        trained = np.asarray(cells.obsm[OBSM_KEY])
        untrained = Embedder.load(self.home / "demo" / "random").embed_cells(
            cells.X, list(cells.var_names)
        )
        self.facts["knn_accuracy"] = knn_accuracy(trained, labels)
        self.facts["knn_accuracy_random"] = knn_accuracy(untrained.embeddings, labels)
        self.facts["knn_accuracy_pca"] = knn_accuracy(principal_components(cells.X), labels)
        title = TITLE.format(**self.facts)
        umap_picture(trained, labels, title, self.folder / "umap.png")

    def read_inference_table(self) -> None:
        """Count this run's rows, waiting a little: rows are written behind the answers."""
        limit = time.monotonic() + 300
        while True:
            rows = self._rows_of_this_run()
            if rows >= self.facts["requests_sent"] or time.monotonic() > limit:
                break
            time.sleep(1)
        self.facts["inference_table_rows"] = rows

    def plan_again(self) -> None:
        self.facts["second_plan_changes"] = second_plan(ENVIRONMENT)

    def found(self) -> dict[str, Any]:
        """Return the figures that the steps found so far, and the seconds that each took."""
        return {**self.facts, "seconds": self.seconds}

    def summary(self) -> dict[str, Any]:
        """Return all figures, and write them to ``summary.json``."""
        found = self.found()
        write_text(self.folder / "summary.json", json.dumps(found, indent=2, sort_keys=True) + "\n")
        return found

    def _rows_of_this_run(self) -> int:
        client = workspace_client(self.settings)
        warehouse = next(iter(client.warehouses.list()))
        table = quoted(str(self.settings.names.inference_table))
        answer = client.statement_execution.execute_statement(
            statement=(
                f"SELECT count(*) FROM {table} "  # noqa: S608
                f"WHERE client_request_id LIKE 'quickstart-{self.run_id}-%'"
            ),
            warehouse_id=str(warehouse.id),
        )
        rows = answer.result.data_array if answer.result else None
        if not rows:
            raise DeployError(f"the inference table could not be read: {answer.status}")
        return int(rows[0][0])

    def _cdktf_deploy(self, kind: str) -> None:
        stack = self.settings.names.stack(kind)
        command = ["npx", "--no-install", "cdktf", "deploy", stack, "--auto-approve"]
        self.screen.say("$ " + " ".join(command))
        log = self.folder / f"deploy-{stack}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = child_environment(self.settings)
        with log.open("wb") as output:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
            )
        if done.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise DeployError(f"`cdktf deploy {stack}` failed; the end of {log}:\n{tail}")
