"""Jobs that run a wheel of ours on serverless compute, as Terraform's provider takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import monitoring
from .settings import Settings
from .wheel import Wheel

Fields = dict[str, Any]


def wheel_task(key: str, built: Wheel, entry_point: str, parameters: Sequence[str]) -> Fields:
    """Return a task that runs an entry point of a wheel on serverless compute."""
    return {
        "task_key": key,
        "environment_key": monitoring.JOB_ENVIRONMENT_KEY,
        "python_wheel_task": {
            "package_name": built.package,
            "entry_point": entry_point,
            "parameters": list(parameters),
        },
    }


def on_serverless(settings: Settings, built: Wheel) -> Fields:
    """Return what a job on serverless compute has beside its tasks: wheel, queue, costs."""
    spec = {
        "environment_version": monitoring.JOB_ENVIRONMENT_VERSION,
        "dependencies": [settings.names.wheel_path(built.file_name, built.sha256)],
    }
    return {
        "environment": [{"environment_key": monitoring.JOB_ENVIRONMENT_KEY, "spec": spec}],
        **one_at_a_time(settings),
    }


def one_at_a_time(settings: Settings) -> Fields:
    """Return what every job has: its runs queue, and its costs are told apart."""
    return {
        "queue": {"enabled": True},
        "max_concurrent_runs": 1,
        "budget_policy_id": settings.endpoint.budget_policy_id,
        "tags": dict(settings.tags) or None,
    }
