from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.infra import settings
from tests.acceptance.deploy.settings_file import write_settings
from tests.acceptance.manifests import write_manifest
from tests.acceptance.site import Site

ENDPOINT = "/api/2.0/serving-endpoints/scgpt-serving"


class Place(Site):
    """A site whose settings and release are changed from case to case."""

    def declare(self, **changes: Any) -> None:
        """The repository's ``local.toml`` with these changes and without monitoring."""
        write_settings(self.folder, **{"monitoring": {"enabled": False}, **changes})

    def release(self, *shares: tuple[int, int]) -> None:
        """A manifest of (version, traffic); the first is the champion."""
        write_manifest(settings.load("local", self.folder), *shares)

    def register(self, count: int) -> None:
        """Validated versions of a small model."""
        script = Path(__file__).with_name("register.py")
        environment = {
            **self.variables,
            "DATABRICKS_CONFIG_FILE": str(self.folder / "databrickscfg"),
            "DATABRICKS_CONFIG_PROFILE": "local",
            "MLFLOW_TRACKING_URI": "databricks",
            "MLFLOW_REGISTRY_URI": "databricks-uc",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        command = [sys.executable, str(script), "main.scgpt.scgpt_gene_embeddings", str(count)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def endpoint(self) -> dict[str, Any]:
        return self.api("GET", ENDPOINT)

    def changes(self) -> int:
        planned = self.scgpt("plan", "local", "--json")
        assert planned.code == 0, planned.err
        found: int = planned.json["changes"]
        return found


@pytest.fixture(scope="package")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A workspace with the registry deployed and three validated versions, none of them served."""
    place = Place(tmp_path_factory.mktemp("released"))
    place.declare()
    try:
        place.start_workspace()
        place.succeed("deploy", "local")
        place.register(3)
        yield place
    finally:
        place.stop_workspace()
