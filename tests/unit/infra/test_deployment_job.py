"""The deployment job as Terraform declares it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.wheel import DEPLOYMENT_ENTRY_POINTS, deployment_wheel
from tests.unit.infra.provider_schema import mistakes

JUDGE = "00000000-0000-0000-0000-00000000000e"
TOML = """
catalog = "lab"
[workspace]
host = "https://adb-1.2.azuredatabricks.net"
[promotion]
deployment_job = "{judge}"
approval = {approval}
slowdown = 1.5
licences = ["MIT"]
[state]
backend = "http"
address = "https://state.example.com/scgpt/"
"""


def registry_of(folder: Path, approval: str = "true", judge: str = JUDGE) -> dict[str, Any]:
    """Type -> logical id -> block, of the registry stack."""
    (folder / "lab.toml").write_text(TOML.format(judge=judge, approval=approval))
    app = App(outdir=str(folder / "out"))
    build(app, settings.load("lab", folder), None)
    stack = app.node.find_child("lab-registry")
    assert isinstance(stack, TerraformStack)
    found = json.loads(Cdk.synth(stack))
    assert mistakes(found) == []
    resources: dict[str, Any] = found["resource"]
    return resources


def test_tasks_follow_each_other_and_are_never_retried(tmp_path: Path) -> None:
    job = registry_of(tmp_path)["databricks_job"]["job_deployment"]
    after = {
        task["task_key"]: [need["task_key"] for need in task.get("depends_on", [])]
        for task in job["task"]
    }
    assert after == {"judge": [], "approval": ["judge"], "ready": ["approval"]}
    assert list(after) == sorted(after), "as the provider keeps them"
    assert {task["max_retries"] for task in job["task"]} == {0}
    assert {task["disable_auto_optimization"] for task in job["task"]} == {True}
    assert [each["name"] for each in job["parameter"]] == ["model_name", "model_version"]
    assert job["max_concurrent_runs"] == 1
    assert job["queue"] == {"enabled": True}
    told = job["task"][1]["python_wheel_task"]
    assert told["entry_point"] in DEPLOYMENT_ENTRY_POINTS
    assert told["parameters"][-4:] == ["--slowdown", "1.5", "--licence", "MIT"]
    assert "{{job.parameters.model_version}}" in told["parameters"]


def test_it_runs_as_somebody_who_may_do_little(tmp_path: Path) -> None:
    found = registry_of(tmp_path)
    run_as = found["databricks_job"]["job_deployment"]["run_as"]
    assert run_as == {"service_principal_name": JUDGE}
    grants = found["databricks_grant"].values()
    held = {
        next(kind for kind in ("schema", "model", "volume") if kind in grant): grant["privileges"]
        for grant in grants
        if grant["principal"] == JUDGE
    }
    assert held == {
        "schema": ["USE_SCHEMA"],
        "model": ["EXECUTE"],
        "volume": ["READ_VOLUME", "WRITE_VOLUME"],
    }


def test_without_an_approval_nobody_is_waited_for(tmp_path: Path) -> None:
    job = registry_of(tmp_path, approval="false")["databricks_job"]["job_deployment"]
    assert [task["task_key"] for task in job["task"]] == ["judge", "ready"]


def test_without_a_principal_there_is_no_job(tmp_path: Path) -> None:
    text = TOML.format(judge=JUDGE, approval="true")
    (tmp_path / "lab.toml").write_text(text.replace(f'deployment_job = "{JUDGE}"\n', ""))
    app = App(outdir=str(tmp_path / "out"))
    build(app, settings.load("lab", tmp_path), None)
    stack = app.node.find_child("lab-registry")
    assert isinstance(stack, TerraformStack)
    assert "databricks_job" not in json.loads(Cdk.synth(stack))["resource"]


def test_a_principal_is_an_id_or_an_address(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match=r"promotion\.deployment_job"):
        registry_of(tmp_path, judge="somebody")


def test_its_wheel_has_all_that_it_imports(tmp_path: Path) -> None:
    """Asked of Python, in a process that has the wheel and none of this repository."""
    zipfile.ZipFile(BytesIO(deployment_wheel().content)).extractall(tmp_path)
    (entry,) = DEPLOYMENT_ENTRY_POINTS.values()
    script = (
        f"import sys, ast, importlib; sys.path.insert(0, {str(tmp_path)!r});"
        f"module = importlib.import_module({entry.partition(':')[0]!r});"
        "print(module.__file__); module.main(['--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
