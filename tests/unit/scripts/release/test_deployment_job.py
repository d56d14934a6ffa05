"""The tasks of the deployment job, as its entry point runs them in a real registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.model import registry
from scgpt_databricks.model.judge.gates import Evidence, Version
from scgpt_databricks.scripts.connection import connected
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


def test_a_version_that_is_not_there_is_named(lab: Lab) -> None:
    with pytest.raises(SystemExit, match="has no version 99"):
        run(lab, "judge", 99)
