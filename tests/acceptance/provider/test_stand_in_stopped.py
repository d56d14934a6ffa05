"""An apply over the stand-in provider that is stopped from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.provider.conftest import Terraform
from tests.acceptance.provider.resources import endpoint
from tests.acceptance.provider.workspace_stub import ENDPOINTS, Workspace

pytestmark = pytest.mark.acceptance


def test_an_interrupt_keeps_the_endpoint_in_state(
    terraform: Terraform, workspace: Workspace
) -> None:
    running = _started(terraform, workspace)
    os.killpg(running.pid, signal.SIGINT)
    text, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "cannot create model serving: interrupted" in text
    assert terraform.state()["databricks_model_serving.e"]["status"] == "tainted"
    _nobody_left(terraform)

    workspace.update_state = "NOT_UPDATING"
    terraform.apply()
    assert [method for method, _, _ in workspace.writes()] == ["POST", "DELETE", "POST"]
    terraform.changes(0)


def test_the_provider_ends_with_a_killed_terraform(
    terraform: Terraform, workspace: Workspace
) -> None:
    running = _started(terraform, workspace)
    running.kill()
    running.communicate(timeout=30)
    _nobody_left(terraform)


def _started(terraform: Terraform, workspace: Workspace) -> subprocess.Popen[str]:
    """An apply that waits for the endpoint, in a process group of its own."""
    workspace.update_state = "IN_PROGRESS"
    terraform.write(endpoint())
    terraform.run("init")
    running = subprocess.Popen(
        ["terraform", "apply", "-auto-approve", "-no-color"],
        cwd=terraform.folder,
        env=terraform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 30
    while ("GET", f"{ENDPOINTS}/ep", None) not in workspace.requests:
        assert time.monotonic() < limit, "the apply never looked at the endpoint"
        time.sleep(0.05)
    return running


def _nobody_left(terraform: Terraform) -> None:
    """No process whose environment names this test's configuration, within three seconds."""
    mark = f"TF_CLI_CONFIG_FILE={terraform.environment['TF_CLI_CONFIG_FILE']}".encode()
    limit = time.monotonic() + 3
    while left := [pid for pid in Path("/proc").glob("[0-9]*") if mark in _environment(pid)]:
        assert time.monotonic() < limit, f"still running: {left}"
        time.sleep(0.1)


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
