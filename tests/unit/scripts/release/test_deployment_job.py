"""The tasks of the deployment job, as its entry point runs them in a real registry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk

from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from scgpt_databricks.local_workspace.core.workspace import BUILDER_APPLICATION_ID
from scgpt_databricks.model import registry
from scgpt_databricks.model.judge.gates import Evidence, Version
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.deploy import deployment_job as connection
from scgpt_databricks.scripts.release import deployment_job, evidence
from scgpt_databricks.scripts.release.approve import approve
from tests.unit.scripts.release.lab import Lab

FOUND = Evidence(
    candidate=Version("prod.scgpt.m version 1", {}, {}),
    champion=None,
    validated=True,
    smoke_error="",
    approval_needed=False,
)


def run(lab: Lab, task: str, number: int) -> None:
    model = lab.settings("prod").names.full_model
    told = ["--environment", "prod", "--model", model, "--version", str(number)]
    with connected(lab.settings("prod")):
        deployment_job.main([task, *told, "--volume", "artifacts"])


def test_a_version_that_is_refused_ends_the_job_with_every_reason(
    lab: Lab, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "gather", lambda *_, **__: replace(FOUND, validated=False))
    version = lab.register("prod", files)
    with pytest.raises(SystemExit) as ended:
        run(lab, "judge", version.number)
    said = str(ended.value)
    assert "validated: " in said
    assert "metrics: " in said
    (entry,) = lab.history("prod")
    assert (entry.operation, entry.state) == ("deployment job: judge", "refused")
    assert len(entry.facts["gates"]) > 5


@pytest.mark.parametrize("way", ["command", "button"])
def test_it_waits_for_an_approval(
    lab: Lab, files: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    version = lab.register("prod", files)
    with pytest.raises(
        SystemExit, match=f"nobody approved .* `scgpt approve prod {version.number}"
    ):
        run(lab, "approval", version.number)
    if way == "command":
        approve(lab.settings("prod"), version.number)
    else:
        with connected(lab.settings("prod")):
            registry.tag(version, {registry.BUTTON: "Approved"})
    run(lab, "approval", version.number)
    who = {"command": "admin@local.test", "button": "the button of the deployment job"}[way]
    assert f"is approved for prod by {who}" in capsys.readouterr().out
    run(lab, "ready", version.number)
    (entry,) = lab.history("prod")
    assert (entry.operation, entry.facts) == ("deployment job: ready", {"approved_by": who})


def test_a_copy_is_looked_at_when_it_was_compared_with_its_source(
    lab: Lab, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = lab.register("prod", files, copied_from="staging.scgpt.m/1")
    with connected(lab.settings("prod")):
        registry.tag(version, {registry.VALIDATED: None})
    looks: list[float] = []

    def compared(seconds: float) -> Any:
        looks.append(seconds)
        registry.tag(registry.get(version.model, version.number), {registry.VALIDATED: "true"})

    monkeypatch.setattr(deployment_job.time, "sleep", compared)
    run(lab, "ready", version.number)
    assert len(looks) == 1
    with connected(lab.settings("prod")):
        registry.tag(registry.get(version.model, version.number), {registry.VALIDATED: None})
    monkeypatch.setattr(deployment_job, "_LONGEST_COMPARISON", 0.0)
    with pytest.raises(SystemExit, match="was never compared with its source"):
        run(lab, "ready", version.number)


@pytest.fixture
def watched(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """The model of prod is connected to the job that the stack declares, which a deploy does."""
    toml = lab.folder / "prod.toml"
    before = toml.read_text()
    judge = f'deployment_job = "{BUILDER_APPLICATION_ID}"'
    toml.write_text(before.replace("[state]", f"{judge}\n[state]"))
    settings, app = lab.settings("prod"), App(outdir=str(tmp_path / "out"))
    build(app, settings, None)
    stack = app.node.find_child("prod-registry")
    assert isinstance(stack, TerraformStack)
    block = json.loads(Cdk.synth(stack))["resource"]["databricks_job"]["job_deployment"]
    for one, many in (("task", "tasks"), ("environment", "environments")):
        block[many] = block.pop(one)
    made = lab.call("POST", "/api/2.2/jobs/create", **block, parameters=block.pop("parameter"))
    for securable, privilege in (
        ("function/prod.scgpt.scgpt_gene_embeddings", "EXECUTE"),
        ("volume/prod.scgpt.artifacts", "WRITE_VOLUME"),
    ):
        grant = {"principal": BUILDER_APPLICATION_ID, "add": [privilege]}
        lab.call("PATCH", f"/api/2.1/unity-catalog/permissions/{securable}", changes=[grant])
    with connected(settings) as client:
        connection.connect(client, settings)
        yield lab
        toml.write_text(before)
        connection.connect(client, lab.settings("prod"))
        assert connection.connected(client, lab.settings("prod")) == ""
    lab.call("POST", "/api/2.2/jobs/delete", job_id=made["job_id"])


def ended(lab: Lab) -> dict[str, str]:
    """Return task -> result of the last run, when it is over."""
    while True:
        runs = lab.call("GET", "/api/2.2/jobs/runs/list?expand_tasks=true").get("runs", [])
        if runs and runs[0]["status"]["state"] == "TERMINATED":
            return {task["task_key"]: task["state"]["result_state"] for task in runs[0]["tasks"]}
        time.sleep(0.2)


@pytest.mark.long
def test_a_new_version_starts_it_and_an_approval_lets_it_go_on(watched: Lab, files: Path) -> None:
    """Measured for real, by the wheel, as a service principal that may do little."""
    version = watched.register("prod", files)
    assert ended(watched) == {
        "judge": "SUCCESS",
        "approval": "FAILED",
        "ready": "UPSTREAM_FAILED",
    }
    approve(watched.settings("prod"), version.number)
    assert set(ended(watched).values()) == {"SUCCESS"}
    judged, ready = watched.history("prod")
    assert (judged.operation, judged.state) == ("deployment job: judge", "done")
    assert (ready.operation, ready.by) == ("deployment job: ready", BUILDER_APPLICATION_ID)
    assert ready.facts == {"approved_by": "admin@local.test"}


def test_a_version_that_is_not_there_is_named(lab: Lab) -> None:
    with pytest.raises(SystemExit, match="has no version 99"):
        run(lab, "judge", 99)
