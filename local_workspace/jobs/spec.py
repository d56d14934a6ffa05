"""The settings of a job: checked, merged and completed."""

from __future__ import annotations

import re
import uuid
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..core import schedule
from ..core.errors import invalid, not_found
from ..core.store import Document
from ..core.workspace import Principal, Workspace
from ..identity.principals import find

RUN_LIMIT = 1000
"""Runs of one job at a time, at most."""

_KEY = re.compile(r"[\w-]{1,100}")
_LIST_KEYS = {
    "tasks": "task_key",
    "environments": "environment_key",
    "job_clusters": "job_cluster_key",
    "parameters": "name",
}
_RUN_IF = ("ALL_SUCCESS", "ALL_DONE")
_COMPUTE = ("existing_cluster_id", "new_cluster", "job_cluster_key")


def new_id() -> int:
    """Return an id as Databricks gives it: a number of 15 digits."""
    return 10**14 + uuid.uuid4().int % (9 * 10**14)


def check(workspace: Workspace, caller: Principal, settings: Document) -> None:
    """Refuse settings of a job that could not run.

    Raises
    ------
    ApiError
        400 naming the field; 404 for a principal that does not exist.
    """
    _check_tasks(settings)
    if settings.get("schedule"):
        schedule.check(settings["schedule"], "quartz_cron_expression")
    most = settings.get("max_concurrent_runs", 1)
    if not isinstance(most, int) or not 0 <= most <= RUN_LIMIT:
        raise invalid(f"max_concurrent_runs {most!r} must be a number from 0 to {RUN_LIMIT}.")
    for parameter in settings.get("parameters") or []:
        known = parameter if isinstance(parameter, dict) else {}
        if not _KEY.fullmatch(str(known.get("name", ""))) or "default" not in known:
            raise invalid(f"Job parameter {parameter}: name and default are needed.")
    name = run_as(settings, caller.name)
    if find(workspace, name) is None:
        raise not_found(f"run_as: there is no user or service principal {name}.")


def run_as(settings: Document, owner: str) -> str:
    """Return the name of the principal with whose permissions a job runs."""
    given = settings.get("run_as") or {}
    return str(given.get("user_name") or given.get("service_principal_name") or owner)


def parameters(settings: Document) -> dict[str, str]:
    """Return the job's parameters with their defaults."""
    return {entry["name"]: entry["default"] for entry in settings.get("parameters") or []}


def completed(settings: Document) -> Document:
    """Return the settings as the API answers them: with the defaults that it adds."""
    tasks = [
        {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}, **task}
        for task in settings.get("tasks", [])
    ]
    return {
        "name": "Untitled",
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
        "format": "MULTI_TASK",
        **settings,
        **({"tasks": tasks} if tasks else {}),
    }


def merged(settings: Document, changes: Document, removed: list[str]) -> Document:
    """Return settings after an update, which replaces fields, and entries of lists by key.

    Parameters
    ----------
    removed
        Top-level fields, or ``tasks/<task_key>`` for one entry of a list.
    """
    result = dict(settings)
    for path in removed:
        field, _, key = str(path).partition("/")
        if not key:
            result.pop(field, None)
        elif field in _LIST_KEYS:
            name = _LIST_KEYS[field]
            result[field] = [entry for entry in result.get(field, []) if entry.get(name) != key]
    for field, value in changes.items():
        name = _LIST_KEYS.get(field, "")
        if name and isinstance(value, list):
            if not all(isinstance(entry, dict) for entry in value):
                raise invalid(f"{field} must be a list of objects, not {value!r}.")
            kept = {entry.get(name): entry for entry in result.get(field, [])}
            value = list((kept | {entry.get(name): entry for entry in value}).values())
        result[field] = value
    return result


def order(tasks: list[Document]) -> list[Document]:
    """Return the tasks with each after those that it depends on."""
    by_key = {task["task_key"]: task for task in tasks}
    needs = {key: [need["task_key"] for need in needed(task)] for key, task in by_key.items()}
    return [by_key[key] for key in TopologicalSorter(needs).static_order()]


def needed(task: Document) -> list[Document]:
    found: list[Document] = task.get("depends_on") or []
    return found


def kind(task: Document) -> str:
    """Return the kind of a task: ``python_wheel_task``, ``notebook_task``, ..."""
    return next((field for field in task if field.endswith("_task")), "")


def _check_tasks(settings: Document) -> None:
    tasks = settings.get("tasks") or []
    keys = [str(task.get("task_key", "")) for task in tasks]
    for key in keys:
        if not _KEY.fullmatch(key) or keys.count(key) > 1:
            raise invalid(f"task_key {key!r}: once in a job; letters, digits, '-' and '_'.")
    environments = [entry.get("environment_key") for entry in settings.get("environments") or []]
    for task in tasks:
        _check_task(task, keys, environments)
    try:
        order(tasks)
    except CycleError as error:
        raise invalid(f"Tasks depend on each other in a circle: {error.args[1]}.") from error


def _check_task(task: Document, keys: list[str], environments: list[Any]) -> None:
    for need in needed(task):
        if need.get("task_key") not in keys:
            raise _task_error(task, f"depends on {need.get('task_key')!r}, which is no task")
    if task.get("run_if", "ALL_SUCCESS") not in _RUN_IF:
        raise _task_error(task, f"run_if {task['run_if']!r} is not one of {', '.join(_RUN_IF)}")
    if len([field for field in task if field.endswith("_task")]) != 1:
        raise _task_error(task, "must have exactly one field <kind>_task")
    environment = task.get("environment_key")
    if environment and environment not in environments:
        raise _task_error(task, f"environment_key {environment!r} is not in environments")
    if kind(task) == "python_wheel_task":
        _check_wheel(task)


def _check_wheel(task: Document) -> None:
    wheel = task["python_wheel_task"]
    for name in ("package_name", "entry_point"):
        if not wheel.get(name):
            raise _task_error(task, f"python_wheel_task.{name} is missing")
    if wheel.get("parameters") and wheel.get("named_parameters"):
        raise _task_error(task, "parameters and named_parameters exclude each other")
    has_compute = any(task.get(name) for name in _COMPUTE)
    if not task.get("environment_key") and not has_compute:
        raise _task_error(task, "needs an environment_key (serverless) or a cluster")


def _task_error(task: Document, problem: str) -> Exception:
    return invalid(f"Task {task.get('task_key')!r}: {problem}.")
