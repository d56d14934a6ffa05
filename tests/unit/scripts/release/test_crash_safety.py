"""Each command on versions, disturbed at each of its calls and between each two of its steps.

`make soak` runs every case and writes `benchmarks/crash_safety.json`; `make long` runs a sample.
What is measured and validated costs minutes and is of no interest here: it is left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import sleep

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.models import infer_signature

from benchmarks import crash_safety as table
from scgpt_databricks.model import build
from scgpt_databricks.model.judge.gates import Evidence, Version
from scgpt_databricks.model.judge.metrics import Score
from scgpt_databricks.model.scgpt.demo import SHIPPED
from scgpt_databricks.scripts.release import evidence
from tests.unit.scripts.release import crash_safety
from tests.unit.scripts.release.crash_safety import Case, Command, Row, Stage, Watcher
from tests.unit.scripts.release.lab import LEFT_OUT, Lab, running

SAMPLE = 3
"""Cases of each command in `make long`."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    without = [area for area in LEFT_OUT if area != "tracking.mlflow_server"]
    with running(tmp_path_factory.mktemp("crash-safety"), without) as lab:
        while not lab.workspace.runtime["tracking"].ready.done():
            sleep(0.05)
        yield lab


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The few files of a version that computes nothing."""
    folder = tmp_path_factory.mktemp("small") / "model"
    frame = pd.DataFrame({"x": [1.0]})
    signature = infer_signature(frame, frame)
    mlflow.pyfunc.save_model(
        folder, python_model=lambda x: x, signature=signature, pip_requirements=["numpy"]
    )
    return folder


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT", "1")
        score = {"knn_accuracy": Score(0.9, 0.8, 1.0)}
        found = Evidence(
            Version("dev.scgpt.m version 1", {}, score, 1e-5),
            None,
            validated=True,
            smoke_error="",
            licence="MIT",
            provenance="the tests",
            approval_needed=False,
        )
        patch.setattr(evidence, "gather", lambda *_, **__: found)
        patch.setattr(build, "validate", lambda *_, **__: None)
        yield patch


@pytest.fixture(scope="module")
def watcher(lab: Lab, patched: pytest.MonkeyPatch) -> Watcher:
    return Watcher(lab, patched)


@pytest.fixture(scope="module")
def commands(lab: Lab, small: Path, watcher: Watcher) -> dict[str, Command]:
    return {each.name: each for each in Stage.made(lab, small).commands(SHIPPED, watcher)}


NAMES = (
    "build", "promote", "approve", "canary start", "canary promote", "canary abort", "rollback",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_converges(name: str, commands: dict[str, Command], watcher: Watcher) -> None:
    found = crash_safety.cases(commands[name], watcher)
    rows = run(commands[name], random.Random(1).sample(found, SAMPLE), watcher)
    assert [row for row in rows if not row.converged] == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", NAMES)
def test_every_case_converges(name: str, commands: dict[str, Command], watcher: Watcher) -> None:
    rows = run(commands[name], crash_safety.cases(commands[name], watcher), watcher)
    table.keep(name, [asdict(row) for row in rows])
    assert [row for row in rows if not row.converged] == []


def run(command: Command, cases: list[Case], watcher: Watcher) -> list[Row]:
    """Run cases of a command against the state of an undisturbed run."""
    wanted = crash_safety.state(watcher.lab, command.environment)
    return [crash_safety.disturbed(command, case, watcher, wanted) for case in cases]
