"""A new version starts the deployment job; it stops for an approval and goes on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.local_workspace.core.workspace import BUILDER_APPLICATION_ID
from tests.acceptance.release.environments import validated
from tests.acceptance.site import Site, wait_until

MODEL = "prod.scgpt.scgpt_gene_embeddings"
JUDGE = f'deployment_job = "{BUILDER_APPLICATION_ID}"'
TOML = f"""
catalog = "prod"
production = false
deletion_protection = false
[workspace]
local = true
[endpoint]
name = "scgpt-prod"
workload_type = "CPU"
[monitoring]
enabled = false
[promotion]
approval = true
{JUDGE}
[state]
backend = "local"
"""

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    (site.folder / "prod.toml").write_text(TOML)
    try:
        site.start_workspace()
        site.succeed("deploy", "prod", limit_s=600)
        yield site
    finally:
        site.stop_workspace()


def build(site: Site, checkpoint: Path) -> int:
    origin = ("--licence", "MIT", "--provenance", "made for a test", "--no-clean-environment")
    done = site.succeed("build", "prod", "--checkpoint", checkpoint, *origin, "--json", limit_s=600)
    version: int = done.json["version"]
    return version


def run_of(site: Site, version: int) -> dict[str, Any]:
    """Return the run that a version started, when it is over."""
    found: list[dict[str, Any]] = []

    def over() -> bool:
        listed = site.api("GET", "/api/2.2/jobs/runs/list?expand_tasks=true")["runs"]
        found[:] = [run for run in listed if told(run)["model_version"] == str(version)]
        return bool(found) and found[0]["status"]["state"] == "TERMINATED"

    wait_until(over, limit_s=600)
    (run,) = found
    return run


def told(run: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of a run."""
    return {each["name"]: each["value"] for each in run["job_parameters"]}


def results(run: dict[str, Any]) -> dict[str, str]:
    return {task["task_key"]: task["state"]["result_state"] for task in run["tasks"]}


def said(site: Site, run: dict[str, Any], key: str) -> str:
    (task,) = [task for task in run["tasks"] if task["task_key"] == key]
    output = site.api("GET", f"/api/2.2/jobs/runs/get-output?run_id={task['run_id']}")
    return str(output["logs"])


def test_a_new_version_is_judged_and_waits_for_a_person(site: Site, demo_checkpoints: Path) -> None:
    assert site.succeed("plan", "prod", "--json", limit_s=600).json["changes"] == 0
    number = build(site, demo_checkpoints / "checkpoint")
    run = run_of(site, number)
    assert results(run) == {
        "judge": "FAILED",
        "approval": "UPSTREAM_FAILED",
        "ready": "UPSTREAM_FAILED",
    }
    assert "validated: " in said(site, run, "judge")

    validated(site, MODEL, number)
    again = {"run_id": run["run_id"], "rerun_all_failed_tasks": True}
    site.api("POST", "/api/2.2/jobs/runs/repair", **again)
    run = run_of(site, number)
    assert results(run) == {"judge": "SUCCESS", "approval": "FAILED", "ready": "UPSTREAM_FAILED"}
    assert "| knn_accuracy |" in said(site, run, "judge")
    assert f"an approver runs `scgpt approve prod {number}`" in said(site, run, "approval")

    site.succeed("approve", "prod", str(number))
    run = run_of(site, number)
    assert set(results(run).values()) == {"SUCCESS"}
    assert f"{MODEL} version {number} may serve prod" in said(site, run, "ready")
    history = site.succeed("history", "prod", "--json").json["history"]
    jobs = [each for each in history if each["operation"].startswith("deployment job")]
    assert [(each["operation"], each["state"]) for each in jobs] == [
        ("deployment job: judge", "refused"),
        ("deployment job: judge", "done"),
        ("deployment job: ready", "done"),
    ]
    assert jobs[0]["by"] == BUILDER_APPLICATION_ID
    assert jobs[2]["facts"]["approved_by"] == "admin@local.test"

    toml = site.folder / "prod.toml"
    toml.write_text(toml.read_text().replace(f"{JUDGE}\n", ""))
    site.succeed("deploy", "prod", limit_s=600)
    name = f"/api/2.0/mlflow/unity-catalog/registered-models/get?name={MODEL}"
    assert "deployment_job_id" not in site.api("GET", name)["registered_model"]
