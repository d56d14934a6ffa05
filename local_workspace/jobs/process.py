"""One task of a run as a process: what it is given, where its output goes, how it ended."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..core.children import Child, environment_without
from ..core.store import Document
from ..core.workspace import Workspace
from ..identity import principals
from . import spec as job_spec
from . import wheels
from .states import FAILED, INTERNAL_ERROR, SUCCESS, TERMINATED, TIMEDOUT, state
from .wheels import WheelError

_ENTRY = Path(__file__).with_name("wheel_entry.py")
_VARIABLE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
_FAILURE = "Workload failed, see run output for details"


@dataclass(frozen=True)
class Ending:
    """How a task ended; error and trace as ``get-output`` gives them."""

    state: Document
    error: str = ""
    trace: str = ""


class TaskProcess:
    """A task that is about to run.

    Parameters
    ----------
    run, task
        Documents of the run and of the task in it.
    spec
        The task in the job's settings.
    """

    def __init__(self, workspace: Workspace, run: Document, task: Document, spec: Document) -> None:
        self._workspace, self._run, self._task, self._spec = workspace, run, task, spec
        self._folder = folder(workspace, task["id"])
        self._installed: list[Path] = []

    async def prepare(self) -> Ending | None:
        """Install what the task names; how it ended already when it cannot run."""
        if job_spec.kind(self._spec) != "python_wheel_task":
            kind = job_spec.kind(self._spec)
            return _broken(f"The local workspace runs python_wheel_task only, not {kind}")
        principal = principals.find(self._workspace, self._run["run_as"])
        if principal is None:
            return _broken(f"run_as: {self._run['run_as']} does not exist any more")
        self._folder.mkdir(parents=True, exist_ok=True)
        for dependency in self._dependencies():
            if not wheels.is_wheel(dependency):
                self._note(f"{dependency}: taken from the environment of the local workspace")
                continue
            try:
                path = await wheels.install(self._workspace, principal, dependency)
            except WheelError as error:
                return _broken(f"Library installation failed: {error}")
            self._installed.append(path)
        return None

    def start(self) -> Child:
        wheel = self._spec["python_wheel_task"]
        argv = [sys.executable, str(_ENTRY), wheel["package_name"], wheel["entry_point"]]
        return Child.start(
            f"run {self._task['id']}",
            [*argv, *self._arguments()],
            self._environment(),
            self._folder / "output.log",
            self._folder,
            self._folder / "status",
        )

    async def wait(self, child: Child) -> Ending:
        limit_s = float(self._spec.get("timeout_seconds") or 0)
        deadline = time.monotonic() + limit_s
        while child.alive:
            if limit_s and time.monotonic() > deadline:
                await asyncio.to_thread(child.stop)
                return Ending(state(TERMINATED, TIMEDOUT, f"Timed out after {limit_s:.0f} s"))
            await asyncio.sleep(0.1)
        status = self._folder / "status"
        code = int(status.read_text()) if status.exists() else None
        if code == 0:
            return Ending(state(TERMINATED, SUCCESS))
        lines = output(self._workspace, self._task["id"]).rstrip().splitlines()
        error = lines[-1] if lines else f"The process ended with status {code}"
        return Ending(state(TERMINATED, FAILED, _FAILURE), error, "\n".join(lines))

    def _dependencies(self) -> list[str]:
        environments = self._run["settings"].get("environments") or []
        key = self._spec.get("environment_key")
        found = [
            dependency
            for entry in environments
            if entry.get("environment_key") == key
            for dependency in (entry.get("spec") or {}).get("dependencies") or []
        ]
        libraries = self._spec.get("libraries") or []
        return [*found, *(entry["whl"] for entry in libraries if entry.get("whl"))]

    def _arguments(self) -> list[str]:
        """Positional parameters, or ``--name=value`` for named ones, with variables filled in."""
        wheel, values = self._spec["python_wheel_task"], parameters(self._run)
        if named := wheel.get("named_parameters"):
            given = [f"--{name}={value}" for name, value in (values | named).items()]
        else:
            given = wheel.get("parameters") or []
        known = {f"job.parameters.{name}": value for name, value in values.items()}
        known |= {
            "job.id": str(self._run["job_id"]),
            "job.name": self._run["settings"].get("name", "Untitled"),
            "job.run_id": str(self._run["id"]),
            "task.name": self._task["task_key"],
            "task.run_id": str(self._task["id"]),
        }
        return [_VARIABLE.sub(lambda m: known.get(m[1], m[0]), str(text)) for text in given]

    def _environment(self) -> dict[str, str]:
        """Ours, with the address of the workspace and the token of the run's principal."""
        kept = environment_without("DATABRICKS_", "MLFLOW_", "PYTHON")
        token = principals.token_for(self._workspace, self._run["run_as"])
        return kept | {
            "DATABRICKS_HOST": self._workspace.url,
            "DATABRICKS_TOKEN": token,
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "DATABRICKS_JOB_ID": str(self._run["job_id"]),
            "DATABRICKS_RUN_ID": str(self._run["id"]),
            "MLFLOW_TRACKING_URI": "databricks",
            "MLFLOW_REGISTRY_URI": "databricks-uc",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join(str(path) for path in self._installed),
            "PYTHONUNBUFFERED": "1",
        }

    def _note(self, text: str) -> None:
        with (self._folder / "output.log").open("a", encoding="utf-8") as log:
            log.write(f"[local workspace] {text}\n")


def parameters(run: Document) -> dict[str, str]:
    """Return the job's parameters as a run has them."""
    given: dict[str, str] = run.get("parameters") or {}
    return job_spec.parameters(run["settings"]) | given


def folder(workspace: Workspace, task_run_id: int) -> Path:
    """Working directory of a task, with its output."""
    return workspace.folder / "runs" / str(task_run_id)


def output(workspace: Workspace, task_run_id: int) -> str:
    """Return the output of a task, without tokens."""
    log = folder(workspace, task_run_id) / "output.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    for token in principals.tokens(workspace):
        text = text.replace(token, "[REDACTED]")
    return text


def _broken(message: str) -> Ending:
    return Ending(state(INTERNAL_ERROR, FAILED, message), message)
