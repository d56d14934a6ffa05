"""Runs of jobs: ``/api/2.2/jobs/run-now`` and ``/api/2.2/jobs/runs``."""

from __future__ import annotations

from typing import Any

from ..catalog.versions import START_JOB
from ..core.errors import ApiError, invalid, not_found
from ..core.routing import Call, Routes, page, whole_number
from ..core.store import Document
from ..core.workspace import Workspace
from ..objects import documents
from ..objects.documents import JOB
from . import process as job_process
from . import states as job_states
from .api import find_job, paths
from .execution import KIND, Runs, of
from .states import OVER

routes = Routes()

_TOKENS = "job_run_tokens"
_UNDERSTOOD = {"job_id", "idempotency_token", "job_parameters", "queue"}
_LOG_LIMIT = 5 << 20
"""Characters of a task's output that are returned."""


async def startup(workspace: Workspace) -> None:
    workspace.runtime["jobs"] = Runs(workspace)
    workspace.runtime[START_JOB] = of(workspace).start
    of(workspace).resume()


async def shutdown(workspace: Workspace) -> None:
    await of(workspace).close()


@routes.add("POST", *paths("run-now"))
async def run_now(call: Call) -> dict[str, Any]:
    job = find_job(call, call.need("job_id"), "CAN_MANAGE_RUN")
    token = call.body.get("idempotency_token")
    known = call.workspace.store.get(_TOKENS, f"{job['id']}/{token}") if token else None
    if known is not None:
        return {"run_id": known["run_id"]}
    if unknown := sorted({key for key, value in call.body.items() if value} - _UNDERSTOOD):
        raise invalid(
            f"run-now: {', '.join(unknown)} is not understood here. Give values as job_parameters."
        )
    given = call.body.get("job_parameters") or {}
    run = of(call.workspace).start(job, call.principal.name, "ONE_TIME", given)
    if token:
        call.workspace.store.put(_TOKENS, f"{job['id']}/{token}", {"run_id": run["id"]})
    return {"run_id": run["id"], "number_in_job": run["id"]}


@routes.add("GET", *paths("runs/get"))
async def get(call: Call) -> dict[str, Any]:
    run, task = _find(call, call.query.get("run_id", ""), "CAN_VIEW")
    return _task_view(call.workspace, run, task) if task else _view(call.workspace, run)


@routes.add("GET", *paths("runs/list"))
async def list_all(call: Call) -> dict[str, Any]:
    """Newest first; without tasks unless they are asked for."""
    query = call.query
    expand = query.get("expand_tasks", "").lower() == "true"
    runs = [run for _, run in call.workspace.store.items(KIND) if _may_see(call, run)]
    if "job_id" in query:
        wanted = whole_number(query["job_id"], "job_id")
        runs = [run for run in runs if run["job_id"] == wanted]
    for name, over in (("active_only", False), ("completed_only", True)):
        if query.get(name, "").lower() == "true":
            runs = [run for run in runs if (run["state"]["life"] in OVER) == over]
    runs.sort(key=lambda run: int(run["created_at"]), reverse=True)
    found, more = page(runs, query, size=20, limit="limit")
    views = [_view(call.workspace, run) for run in found]
    if not expand:
        for view in views:
            view.pop("tasks")
    return {"runs": views, "has_more": bool(more), **more}


@routes.add("GET", *paths("runs/get-output"))
async def get_output(call: Call) -> dict[str, Any]:
    """Return the output of one task; for a run of one task its own id will do."""
    run, task = _find(call, call.query.get("run_id", ""), "CAN_VIEW")
    if task is None:
        if len(run["tasks"]) != 1:
            raise invalid(
                "Retrieving the output of runs with multiple tasks is not supported. Retrieve the "
                "output of each individual task run instead."
            )
        (task,) = run["tasks"]
    text = job_process.output(call.workspace, task["id"])
    answer: dict[str, Any] = {
        "metadata": _task_view(call.workspace, run, task),
        "logs": text[-_LOG_LIMIT:],
        "logs_truncated": len(text) > _LOG_LIMIT,
    }
    if task.get("error"):
        answer |= {"error": task["error"], "error_trace": task["trace"]}
    return answer


@routes.add("POST", *paths("runs/repair"))
async def repair(call: Call) -> dict[str, Any]:
    """Run again what did not succeed; answers the number of the repair."""
    run, _ = _find(call, call.need("run_id"), "CAN_MANAGE_RUN")
    if not call.body.get("rerun_all_failed_tasks"):
        raise invalid("runs/repair: give rerun_all_failed_tasks; single tasks are not taken here.")
    if run["state"]["life"] not in OVER:
        raise invalid(f"Run {run['id']} is not over yet, so there is nothing to repair.")
    return {"repair_id": of(call.workspace).repair(run)}


@routes.add("POST", *paths("runs/cancel"))
async def cancel(call: Call) -> dict[str, Any]:
    run, _ = _find(call, call.need("run_id"), "CAN_MANAGE_RUN")
    await of(call.workspace).cancel(run["id"])
    return {}


@routes.add("POST", *paths("runs/cancel-all"))
async def cancel_all(call: Call) -> dict[str, Any]:
    job = find_job(call, call.need("job_id"), "CAN_MANAGE_RUN")
    for _, run in call.workspace.store.items(KIND):
        if run["job_id"] == job["id"] and run["state"]["life"] not in OVER:
            await of(call.workspace).cancel(run["id"])
    return {}


def _find(call: Call, run_id: object, needed: str) -> tuple[Document, Document | None]:
    """Return a run, and its task when the id is that of one."""
    number = whole_number(run_id, "run_id")
    for _, run in call.workspace.store.items(KIND):
        for task in (None, *run["tasks"]):
            if number == (task or run)["id"]:
                _require(call, run, needed)
                return run, task
    raise not_found(f"Run {number} does not exist.")


def _require(call: Call, run: Document, needed: str) -> None:
    """The permissions of a run are those of its job; of a deleted job's, its creator's."""
    if call.principal.name == run["owner"] or call.principal.is_admin:
        return
    documents.require(call.workspace, call.principal, JOB, str(run["job_id"]), needed)


def _may_see(call: Call, run: Document) -> bool:
    try:
        _require(call, run, "CAN_VIEW")
    except ApiError:
        return False
    return True


def _view(workspace: Workspace, run: Document) -> dict[str, Any]:
    settings = run["settings"]
    values = job_process.parameters(run)
    defaults = {entry["name"]: entry["default"] for entry in settings.get("parameters") or []}
    return {
        "job_id": run["job_id"],
        "run_id": run["id"],
        "number_in_job": run["id"],
        "creator_user_name": run["owner"],
        "run_name": settings.get("name", "Untitled"),
        "run_page_url": f"{workspace.url}/#job/{run['job_id']}/run/{run['id']}",
        "run_type": "JOB_RUN",
        "trigger": run["trigger"],
        "format": "MULTI_TASK",
        **({"schedule": settings["schedule"]} if settings.get("schedule") else {}),
        **_times(run),
        **job_states.view(run["state"]),
        "job_parameters": [
            {"name": name, "default": defaults.get(name, ""), "value": value}
            for name, value in values.items()
        ],
        "tasks": [_task_view(workspace, run, task) for task in run["tasks"]],
    }


def _task_view(workspace: Workspace, run: Document, task: Document) -> dict[str, Any]:
    (spec,) = [s for s in run["settings"]["tasks"] if s["task_key"] == task["task_key"]]
    return {
        **spec,
        "run_id": task["id"],
        "job_id": run["job_id"],
        "job_run_id": run["id"],
        "attempt_number": 0,
        "run_page_url": f"{workspace.url}/#job/{run['job_id']}/run/{task['id']}",
        **_times({"created_at": run["created_at"], **task}),
        **job_states.view(task["state"]),
    }


def _times(document: Document) -> dict[str, int]:
    started = int(document.get("started_at") or document["created_at"])
    answer = {"start_time": started, "setup_duration": 0, "cleanup_duration": 0}
    if "ended_at" in document:
        ended = int(document["ended_at"])
        duration = ended - started
        answer |= {"end_time": ended, "execution_duration": duration, "run_duration": duration}
    return answer
