"""A running instance with three versions of a small model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.local_workspace.server.instance import Info

MODEL = "main.served.marked"


def sdk(info: Info, profile: str) -> WorkspaceClient:
    return WorkspaceClient(config_file=str(info.config), profile=profile)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Info]:
    folder = tmp_path_factory.mktemp("serving") / "workspace"
    info = instance.start(folder, free_port())
    admin = sdk(info, "local")
    admin.schemas.create("served", "main")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("DATABRICKS_", "MLFLOW_"))},
        "DATABRICKS_CONFIG_FILE": str(info.config),
        "DATABRICKS_CONFIG_PROFILE": "local-builder",
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    script = Path(__file__).with_name("register.py")
    done = subprocess.run(
        [sys.executable, str(script), MODEL],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [1, 2, 3]
    yield info
    instance.stop(folder)
