"""The safe deploy of the registry, with real Terraform, against a local workspace of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.scripts.commit import git_commit
from scgpt_databricks.scripts.deploy import (
    DeployResult,
    child_environment,
    deploy,
    destroy,
    verify_environment,
)
from scgpt_databricks.scripts.overview import overview
from tests.acceptance.deploy.settings_file import write_settings
from tests.acceptance.manifests import write_manifest

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

GRANTS = [
    "databricks_grant.model_grant_scientists",
    "databricks_grant.schema_grant_scientists",
    "databricks_grant.volume_grant_scientists",
]
REGISTRY = [
    *GRANTS,
    "databricks_mlflow_experiment.experiment",
    "databricks_registered_model.model",
    "databricks_schema.schema",
    "databricks_volume.checkpoints_volume",
    "databricks_volume.volume",
]


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("environments")
    write_settings(folder, monitoring={"enabled": False})
    instance.start(folder / "workspace", free_port())
    yield folder
    instance.stop(folder / "workspace")


def test_the_registry_from_nothing_to_nothing(environments: Path) -> None:
    lines: list[str] = []
    _an_answer_is_lost(environments)
    done = deploy("local", folder=environments, report=lines.append)
    assert done.verified
    made = {(change.address, change.action) for change in done.plan.stacks[0].plan.changes}
    schema = "databricks_schema.schema"
    assert (schema, "import+update") in made
    assert made - {(schema, "import+update")} <= {(address, "create") for address in REGISTRY}
    assert "local-registry: databricks_schema.schema: taken over" in lines
    assert any(done.plan.provider in line for line in lines), "says which provider ran"

    _it_is_recorded(environments, done)
    _cdktf_plans_no_change(environments)
    _a_grant_taken_away_comes_back(environments)
    _a_version_that_does_not_exist_is_refused(environments)

    destroyed = destroy("local", folder=environments)
    assert [change.address for change in destroyed.plan.stacks[-1].plan.changes] == REGISTRY
    client = WorkspaceClient(config_file=str(environments / "databrickscfg"), profile="local")
    assert list(client.schemas.list("main")) == []


def _an_answer_is_lost(environments: Path) -> None:
    """The schema is made, and nobody hears of it; test_faults has all the others."""
    client = WorkspaceClient(config_file=str(environments / "databrickscfg"), profile="local")
    path = "/api/2.1/unity-catalog/schemas"
    fault = {"method": "POST", "path": path, "status": 503, "when": "after"}
    client.api_client.do("POST", "/_local/faults", body=fault)
    with pytest.raises(DeployError, match=r"already exists(?s:.)*Run it again"):
        deploy("local", folder=environments)


def _it_is_recorded(environments: Path, done: DeployResult) -> None:
    """For all who look at the environments; a deploy that changes nothing leaves it."""
    (row,) = overview(environments)
    assert (row.stacks, row.deployed) == (("local-registry",), ("local-registry",))
    first = row.last_deploy
    assert first is not None
    assert (first.by, first.plan_digest) == ("admin@local.test", done.plan.digest)
    assert first.commit == git_commit()
    assert abs((datetime.now(UTC) - first.at).total_seconds()) < 120
    assert deploy("local", folder=environments).plan.changes == 0
    (row,) = overview(environments)
    assert (row.last_deploy, row.drift) == (first, ())


def _cdktf_plans_no_change(environments: Path) -> None:
    """The bare command line shares the state, given the printed variables."""
    variables = child_environment(settings.load("local", environments))
    command = ["npx", "--no-install", "cdktf", "deploy", "local-registry", "--auto-approve"]
    done = subprocess.run(
        command, cwd=layout.ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stack = environments / "cdktf.out" / "stacks" / "local-registry"
    planned = subprocess.run(
        ["terraform", "plan", "-detailed-exitcode", "-input=false"],
        cwd=stack,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr


def _a_grant_taken_away_comes_back(environments: Path) -> None:
    client = WorkspaceClient(config_file=str(environments / "databrickscfg"), profile="local")
    change = PermissionsChange(principal="scientists", remove=[Privilege.EXECUTE])
    names = settings.load("local", environments).names
    client.grants.update("function", names.full_model, changes=[change])
    (difference,) = verify_environment("local", folder=environments)
    assert (difference.field, difference.declared) == ("grant to scientists", "EXECUTE")
    with pytest.raises(RefusedError, match="not the one that was reviewed") as caught:
        deploy("local", folder=environments, reviewed="0" * 64)
    now = re.search(r"now ([0-9a-f]{64})", str(caught.value))
    assert now is not None
    repaired = deploy("local", folder=environments, reviewed=now[1])
    assert verify_environment("local", folder=environments) == []
    (change,) = repaired.plan.stacks[0].plan.changes
    assert (change.address, change.action) == (GRANTS[0], "create")


def _a_version_that_does_not_exist_is_refused(environments: Path) -> None:
    loaded = settings.load("local", environments)
    write_manifest(loaded, (7, 100))
    command = [str(Path(sys.executable).with_name("scgpt")), "deploy", "local"]
    said = subprocess.run(
        command,
        cwd=layout.ROOT,
        env={**os.environ, "SCGPT_ENVIRONMENTS": str(environments)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 3
    assert re.search(r"version 7 .*\(version-missing\)", said.stderr)
    assert list((environments / "deploy").rglob("*.tfplan")) == [], "they hold plain-text values"
    loaded.manifest_path.unlink()
