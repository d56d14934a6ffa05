"""Figures of the infrastructure: what our layer costs on top of the tools below it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import ROOT, RUNS, Figure, seconds
from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.layout import ENVIRONMENTS
from scgpt_databricks.infra.release import Manifest, Served
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.scripts.connection import use_mlflow
from scgpt_databricks.scripts.deploy import child_environment, deploy

CDKS = {"cdktf": Path(sys.executable), "cdktn": ROOT / ".cdktn" / "bin" / "python"}
"""The interpreter that has each CDK; one that is not there is not measured."""

_EMPTY = "from {cdk} import App, TerraformStack; app = App(); TerraformStack(app, 'e'); app.synth()"
_QUIET = {
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
}


def synth_environment() -> list[Figure]:
    """Synthesis of ``prod``, all stacks, over that of an app with one empty stack."""
    figures = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        shutil.copy(ENVIRONMENTS / "prod.toml", folder)
        _release(settings.load("prod", folder), version=1)
        variables = {
            **os.environ,
            **_QUIET,
            "SCGPT_ENVIRONMENTS": str(folder),
            "SCGPT_ENVIRONMENT": "prod",
            "CDKTF_OUTDIR": str(folder / "out"),
        }
        for cdk, python in CDKS.items():
            if not python.exists():
                continue
            empty = [str(python), "-c", _EMPTY.format(cdk=cdk)]
            ours = [str(python), "-m", "scgpt_databricks.infra.main"]
            figures.append(
                _times_of(f"synth_environment_{cdk}", ours, empty, variables, goal="<= 4")
            )
    return figures


def no_op_deploy() -> list[Figure]:
    """A safe deploy that changes nothing, over a bare ``terraform plan`` of the same stacks."""
    with _deployed() as loaded:
        stacks = sorted((loaded.folder / "deploy").glob("local-*/stacks/*"))
        variables = child_environment(loaded)
        plan = ["terraform", "plan", "-input=false", "-no-color", "-detailed-exitcode"]

        def bare() -> None:
            for stack in stacks:
                subprocess.run(
                    plan, cwd=stack, env=variables, stdout=subprocess.DEVNULL, check=True
                )

        ours, reference = [], []
        for _ in range(RUNS):
            reference.append(seconds(bare))
            ours.append(seconds(lambda: deploy("local", folder=loaded.folder)))
    note = "synthesis, init, plan, guards and the check by API; the reference is the plan alone"
    return [_figure("no_op_deploy", ours, reference, "<= 6", note)]


def _times_of(
    name: str, ours: list[str], reference: list[str], variables: Mapping[str, str], goal: str
) -> Figure:
    def run(command: list[str]) -> None:
        subprocess.run(command, cwd=ROOT, env=dict(variables), capture_output=True, check=True)

    run(ours)  # the first run unpacks the CDK
    found = [(seconds(lambda: run(ours)), seconds(lambda: run(reference))) for _ in range(RUNS)]
    note = "prod, three stacks; the reference is one empty stack"
    return _figure(name, [o for o, _ in found], [r for _, r in found], goal, note)


def _figure(name: str, ours: list[float], reference: list[float], goal: str, note: str) -> Figure:
    """Times of both; the ratio says how many times as long ours takes."""
    ratio = statistics.median(o / r for o, r in zip(ours, reference, strict=True))
    return Figure(
        name,
        statistics.median(ours),
        statistics.median(reference),
        ratio,
        "s",
        "none",
        goal,
        note,
    )


@contextmanager
def _deployed() -> Iterator[Settings]:
    """The environment ``local``, deployed with a small model, in a place of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        shutil.copy(ENVIRONMENTS / "local.toml", folder)
        instance.start(folder / "workspace", free_port())
        try:
            deploy("local", folder=folder)
            loaded = settings.load("local", folder)
            _release(loaded, version=_register(loaded))
            deploy("local", folder=folder)
            yield loaded
        finally:
            instance.stop(folder / "workspace")


def _register(loaded: Settings) -> int:
    """A version of a model that does nothing: deploys are measured, not models."""
    use_mlflow(loaded)
    import mlflow

    def nothing(model_input: list[str]) -> list[str]:
        return model_input

    with mlflow.start_run(experiment_id=mlflow.set_experiment("/Shared/bench").experiment_id):
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=nothing,
            pip_requirements=["mlflow"],
        )
    registered = mlflow.register_model(
        logged.model_uri, loaded.names.full_model, tags={"validated": "true"}
    )
    return int(registered.version)


def _release(loaded: Settings, version: int) -> None:
    served = Served(
        version=version,
        traffic=100,
        role="champion",
        run_id="0" * 32,
        checkpoint_sha256="0" * 64,
        signature_digest="0" * 64,
        engine_digest="0" * 64,
    )
    moment = datetime.now(UTC)
    manifest = Manifest(
        model=loaded.names.full_model, git_commit="bench", created_at=moment, served=(served,)
    )
    release.write(loaded.manifest_path, manifest)
