"""How the stand-in provider reaches a workspace, and which it refuses to reach."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.provider.conftest import Terraform
from tests.acceptance.provider.resources import SCHEMA
from tests.acceptance.provider.workspace_stub import CATALOG, TOKEN, RefusedError, Workspace

pytestmark = pytest.mark.acceptance


def test_the_token_is_nowhere(terraform: Terraform, tmp_path: Path) -> None:
    terraform.environment["TF_LOG"] = "trace"
    terraform.environment["TF_LOG_PATH"] = str(tmp_path / "log")
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    terraform.run("plan", "-out", "saved")
    terraform.run("apply", "saved")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (tmp_path / "log") in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert [text for text in terraform.outputs if TOKEN in text] == []


def test_a_profile_of_a_configuration_file(terraform: Terraform, tmp_path: Path) -> None:
    host, token = (terraform.environment.pop(f"DATABRICKS_{n}") for n in ("HOST", "TOKEN"))
    profiles = tmp_path / "databrickscfg"
    profiles.write_text(f"[local]\nhost = {host}\ntoken = {token}\n")
    terraform.environment["DATABRICKS_CONFIG_FILE"] = str(profiles)
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    assert "no profile 'DEFAULT'" in terraform.run("plan", code=1)
    terraform.environment["DATABRICKS_CONFIG_PROFILE"] = "local"
    terraform.apply()


@pytest.mark.parametrize(
    "host", ["https://adb-1.azuredatabricks.net", "http://127.0.0.1.example.com", "http://10.0.0.1"]
)
def test_a_host_elsewhere_is_refused(terraform: Terraform, host: str) -> None:
    terraform.environment["DATABRICKS_HOST"] = host
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    assert "is not on this machine. This is the stand-in" in terraform.run("plan", code=1)


def test_a_wrong_token(terraform: Terraform) -> None:
    terraform.environment["DATABRICKS_TOKEN"] = "dapi-wrong"
    terraform.write({"databricks_schema": SCHEMA})
    terraform.run("init")
    text = terraform.apply(code=1)
    assert "Error: cannot create schema: Invalid access token." in text
    assert "dapi-wrong" not in text
    assert terraform.state() == {}


def test_nobody_listening(terraform: Terraform) -> None:
    terraform.environment["DATABRICKS_HOST"] = "http://127.0.0.1:1"
    terraform.write({"databricks_schema": SCHEMA}, retry_timeout_seconds=2)
    terraform.run("init")
    started = time.monotonic()
    assert "Connection refused" in terraform.apply(code=1)
    assert time.monotonic() - started < 10


def test_a_busy_server_is_asked_again(terraform: Terraform, workspace: Workspace) -> None:
    workspace.faults["POST", f"{CATALOG}/schemas"] = [
        RefusedError(429, "slow"),
        RefusedError(503, "later"),
    ]
    terraform.write({"databricks_schema": SCHEMA}, retry_timeout_seconds=30)
    terraform.run("init")
    terraform.apply()
    assert [path for method, path, _ in workspace.writes()] == [f"{CATALOG}/schemas"] * 3
