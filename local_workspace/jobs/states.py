"""States of runs and of their tasks, as the API shows them in its old and its new form."""

from __future__ import annotations

from typing import Any

from ..core.store import Document

PENDING, QUEUED, RUNNING, TERMINATED = "PENDING", "QUEUED", "RUNNING", "TERMINATED"
SKIPPED, INTERNAL_ERROR = "SKIPPED", "INTERNAL_ERROR"
SUCCESS, FAILED, CANCELED, TIMEDOUT = "SUCCESS", "FAILED", "CANCELED", "TIMEDOUT"
UPSTREAM_FAILED = "UPSTREAM_FAILED"
TOO_MANY = "MAXIMUM_CONCURRENT_RUNS_REACHED"

OVER = (TERMINATED, SKIPPED, INTERNAL_ERROR)
"""Life cycle states after which nothing happens any more."""

_CODES = {
    SUCCESS: ("SUCCESS", "SUCCESS"),
    FAILED: ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    TIMEDOUT: ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    UPSTREAM_FAILED: ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
    CANCELED: ("USER_CANCELED", "SUCCESS"),
    TOO_MANY: ("MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR"),
}


def state(life: str, result: str | None = None, message: str = "") -> Document:
    """Return a state as documents keep it."""
    return {"life": life, "result": result, "message": message}


def overall(tasks: list[Document]) -> Document:
    """Return the state of a run whose tasks are over."""
    for task in tasks:
        found = task["state"]
        if found["life"] == INTERNAL_ERROR or found["result"] in (FAILED, TIMEDOUT):
            message = f"Task {task['task_key']} failed with message: {found['message']}."
            return state(found["life"], FAILED, message)
    if any(task["state"]["result"] == CANCELED for task in tasks):
        return state(TERMINATED, CANCELED, "Run cancelled.")
    return state(TERMINATED, SUCCESS)


def view(found: Document) -> dict[str, Any]:
    """``state`` and ``status`` of an answer."""
    life, result, message = found["life"], found["result"], found["message"]
    old = {"life_cycle_state": life, "state_message": message}
    if life not in OVER:
        return {"state": old, "status": {"state": life}}
    code, kind = _CODES[result]
    if life == INTERNAL_ERROR:
        code = kind = "INTERNAL_ERROR"
    details = {"code": code, "type": kind, "message": message}
    cancelled = result in (CANCELED, TIMEDOUT)
    return {
        "state": {**old, "result_state": result, "user_cancelled_or_timedout": cancelled},
        "status": {"state": TERMINATED, "termination_details": details},
    }
