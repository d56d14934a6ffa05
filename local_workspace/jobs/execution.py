"""Running jobs: each task a process of this machine, in the order in which they depend.

What a run has reached is in the store at every moment; a run that an instance's end interrupted is
an internal error after the next start.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from ..alerts import outbox
from ..core.children import Child
from ..core.store import Document
from ..core.workspace import Workspace
from . import spec as job_spec
from . import states as job_states
from .process import Ending, TaskProcess
from .states import OVER, PENDING, QUEUED, RUNNING, state

KIND = "job_runs"

_log = logging.getLogger(__name__)


@dataclass
class _Active:
    """A run under way in this process."""

    task: asyncio.Task[None] | None = None
    child: Child | None = None
    cancelled: bool = field(default=False)


class Runs:
    """The runs of an instance."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._active: dict[int, _Active] = {}

    def resume(self) -> None:
        """After a start of the instance: what was under way is lost, what waited goes on."""
        queued = []
        for _, run in self._workspace.store.items(KIND):
            if run["state"]["life"] == QUEUED:
                queued.append(run)
            elif run["state"]["life"] not in OVER:
                self._interrupt(run)
        for run in queued:
            self._begin_next(run["job_id"])

    def start(self, job: Document, creator: str, trigger: str, parameters: Document) -> Document:
        """Start a run of a job, or have it wait for the others of that job."""
        settings, workspace = job["settings"], self._workspace
        run: Document = {
            "id": job_spec.new_id(),
            "job_id": job["id"],
            "owner": creator,
            "run_as": job_spec.run_as(settings, job["owner"]),
            "created_at": workspace.now_ms(),
            "trigger": trigger,
            "settings": settings,
            "parameters": parameters,
            "state": state(PENDING),
            "tasks": [
                {"task_key": task["task_key"], "id": job_spec.new_id(), "state": state(PENDING)}
                for task in job_spec.order(settings.get("tasks") or [])
            ],
        }
        most = settings.get("max_concurrent_runs", 1)
        if len(self._of_job(job["id"])) < most:
            self._save(run)
            self._begin(run)
        elif (settings.get("queue") or {}).get("enabled"):
            self._save({**run, "state": state(QUEUED, None, "Waits for another run of the job.")})
        else:
            reason = f"The job has {most} run(s) already, its max_concurrent_runs."
            self._end(run, state(job_states.SKIPPED, job_states.TOO_MANY, reason))
        return run

    def repair(self, run: Document) -> int:
        """Begin a run anew with the tasks that did not succeed; return the number of the repair."""
        for task in run["tasks"]:
            if task["state"]["result"] != job_states.SUCCESS:
                task |= {"id": job_spec.new_id(), "state": state(PENDING)}
                for key in ("error", "trace", "started_at", "ended_at"):
                    task.pop(key, None)
        run["state"] = state(PENDING)
        run["repairs"] = run.get("repairs", 0) + 1
        run.pop("ended_at", None)
        self._save(run)
        self._begin(run)
        return int(run["repairs"])

    def get(self, run_id: int) -> Document | None:
        return self._workspace.store.get(KIND, str(run_id))

    async def cancel(self, run_id: int) -> None:
        """Stop a run; harmless when it is over."""
        active = self._active.get(run_id)
        run = self.get(run_id)
        if active is not None:
            active.cancelled = True
            if active.child is not None:
                await asyncio.to_thread(active.child.stop)
        elif run is not None and run["state"]["life"] == QUEUED:
            self._finish(run, state(job_states.TERMINATED, job_states.CANCELED, "Run cancelled."))

    async def close(self) -> None:
        """End the processes; the next start finds their runs interrupted."""
        for active in list(self._active.values()):
            if active.task is not None:
                active.task.cancel()
            if active.child is not None:
                await asyncio.to_thread(active.child.stop)

    def _begin(self, run: Document) -> None:
        active = self._active[run["id"]] = _Active()
        active.task = asyncio.create_task(self._follow(run, active), name=f"run-{run['id']}")

    def _begin_next(self, job_id: int) -> None:
        waiting = sorted(self._of_job(job_id, QUEUED), key=lambda run: int(run["created_at"]))
        for run in waiting:
            if len(self._of_job(job_id)) < run["settings"].get("max_concurrent_runs", 1):
                run["state"] = state(PENDING)
                self._save(run)
                self._begin(run)

    def _of_job(self, job_id: int, *lives: str) -> list[Document]:
        """Runs of a job in certain states; by default those under way."""
        wanted = lives or (PENDING, RUNNING)
        return [
            run
            for _, run in self._workspace.store.items(KIND)
            if run["job_id"] == job_id and run["state"]["life"] in wanted
        ]

    async def _follow(self, run: Document, active: _Active) -> None:
        try:
            run |= {"state": state(RUNNING), "started_at": self._workspace.now_ms()}
            self._save(run)
            limit_s = float(run["settings"].get("timeout_seconds") or 0) or None
            async with asyncio.timeout(limit_s):
                await self._run_tasks(run, active)
            ending = job_states.overall(run["tasks"])
        except TimeoutError:
            if active.child is not None:
                await asyncio.to_thread(active.child.stop)
            ending = state(job_states.TERMINATED, job_states.TIMEDOUT, "Run timed out.")
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not look like a long run
            _log.exception("run %s", run["id"])
            ending = state(job_states.INTERNAL_ERROR, job_states.FAILED, repr(error))
        self._finish(run, ending)

    async def _run_tasks(self, run: Document, active: _Active) -> None:
        specs = {task["task_key"]: task for task in run["settings"].get("tasks") or []}
        results: dict[str, str] = {}
        for task in run["tasks"]:
            spec = specs[task["task_key"]]
            before = {results[need["task_key"]] for need in job_spec.needed(spec)}
            if task["state"]["result"] == job_states.SUCCESS:
                pass  # in a run that is repaired
            elif active.cancelled:
                task["state"] = state(job_states.TERMINATED, job_states.CANCELED, "Run cancelled.")
            elif spec.get("run_if") != "ALL_DONE" and before - {job_states.SUCCESS}:
                reason = "A task that it depends on did not succeed."
                task["state"] = state(job_states.SKIPPED, job_states.UPSTREAM_FAILED, reason)
            else:
                await self._run_task(run, task, spec, active)
            results[task["task_key"]] = str(task["state"]["result"])
            self._save(run)

    async def _run_task(
        self, run: Document, task: Document, spec: Document, active: _Active
    ) -> None:
        task |= {"state": state(RUNNING), "started_at": self._workspace.now_ms()}
        self._save(run)
        process = TaskProcess(self._workspace, run, task, spec)
        ending = await process.prepare()
        if ending is None and not active.cancelled:
            active.child = process.start()
            ending = await process.wait(active.child)
            active.child = None
        if ending is None or active.cancelled:
            ending = Ending(state(job_states.TERMINATED, job_states.CANCELED, "Run cancelled."))
        task |= {"state": ending.state, "error": ending.error, "trace": ending.trace}
        task["ended_at"] = self._workspace.now_ms()

    def _interrupt(self, run: Document) -> None:
        reason = "The local workspace was stopped while this ran."
        self._end(run, state(job_states.INTERNAL_ERROR, job_states.FAILED, reason))

    def _finish(self, run: Document, ending: Document) -> None:
        self._end(run, ending)
        self._active.pop(run["id"], None)
        _notify(self._workspace, run)
        self._begin_next(run["job_id"])

    def _end(self, run: Document, ending: Document) -> None:
        """Write down how a run ended, and with it the tasks that were not over."""
        for task in run["tasks"]:
            if task["state"]["life"] not in OVER:
                task["state"] = ending
        run |= {"state": ending, "ended_at": self._workspace.now_ms()}
        self._save(run)

    def _save(self, run: Document) -> None:
        self._workspace.store.put(KIND, str(run["id"]), run)


def of(workspace: Workspace) -> Runs:
    """Return the running instance's runs."""
    runs: Runs = workspace.runtime["jobs"]
    return runs


def _notify(workspace: Workspace, run: Document) -> None:
    """E-mails that the job's settings ask for at the end of a run."""
    good = run["state"]["result"] == job_states.SUCCESS
    wanted: dict[str, Any] = run["settings"].get("email_notifications") or {}
    addresses = wanted.get("on_success" if good else "on_failure") or []
    if addresses and run["state"]["result"] != job_states.CANCELED:
        name = run["settings"].get("name", "Untitled")
        words = "succeeded" if good else "failed"
        text = f"Run {run['id']} of job {name} {words}. {run['state']['message']}\n"
        outbox.send(workspace, addresses, f"Job {name} {words}", text)
