"""A command that is told to end, as a pipeline does at its limit, tidies up first."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.scripts.deploy.terraform import PLAN_FILE

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform")

# As from a terminal: what is started in the background may be deaf to Ctrl-C.
COMMAND = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
import click
from scgpt_databricks.scripts.cli.console import Commands
from scgpt_databricks.scripts.deploy.terraform import Terraform

@click.group(cls=Commands)
def cli(): pass

@cli.command()
@click.argument("stack", type=Path)
def deploy(stack):
    terraform = Terraform(stack, os.environ, lambda line: print(line, flush=True))
    try:
        terraform.init(forget_lock=True)
        terraform.plan()
        terraform.apply()
    finally:
        terraform.forget_plan()

cli()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"]
)
def test_terraform_saves_its_state_and_no_plan_stays(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    command = {"command": f"echo $PPID > {pid}; echo started; sleep 60"}
    waiting = {"x": {"provisioner": [{"local-exec": command}]}}
    stack = {"resource": {"terraform_data": waiting}}
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "deploy", tmp_path],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        while "terraform_data.x: create" not in (line := running.stdout.readline()):
            assert line
        while not (pid.exists() and pid.read_text()):
            assert running.poll() is None
            time.sleep(0.01)
        assert (tmp_path / PLAN_FILE).exists()
        # Ctrl-C reaches the whole group of a terminal, the limit of a job one process.
        (os.killpg if number is signal.SIGINT else os.kill)(running.pid, number)
        said, _ = running.communicate(timeout=30)
        assert "interrupted; Terraform is saving its state" in said
        assert "Traceback" not in said
        assert running.returncode == code
        assert not (tmp_path / PLAN_FILE).exists()
        assert not Path(f"/proc/{pid.read_text().strip()}").exists(), "Terraform has ended"
        (saved,) = json.loads((tmp_path / "terraform.tfstate").read_text())["resources"]
        assert saved["instances"][0]["status"] == "tainted"
        assert not (tmp_path / ".terraform.tfstate.lock.info").exists()
    finally:
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], capture_output=True, check=False)
        running.kill()
        running.communicate()
