"""The tasks of a model's deployment job, in their order, and their arguments."""

from __future__ import annotations

from .settings import Settings

TITLE = "deployment"
ENTRY_POINT = "scgpt-deployment"
JOB_PARAMETERS = ("model_name", "model_version")
"""The platform gives these to the run that a new version starts."""
LONGEST_SECONDS = 3600
APPROVAL = "approval"
"""Key of the task that waits for a person; the platform shows its button for this name."""


def tasks(settings: Settings) -> list[str]:
    """Return the keys of the tasks, each of which follows the one before."""
    return ["judge", *([APPROVAL] if settings.approval_needed else []), "ready"]


def arguments(settings: Settings, task: str) -> list[str]:
    """Return the arguments of the entry point for a task."""
    promotion = settings.promotion
    rules = [
        *("--slowdown", f"{promotion.slowdown:g}"),
        *(part for licence in promotion.licences for part in ("--licence", licence)),
    ]
    return [
        task,
        *("--environment", settings.environment),
        *("--model", "{{job.parameters.model_name}}"),
        *("--version", "{{job.parameters.model_version}}"),
        *("--volume", settings.volume),
        *(rules if task == "judge" else []),
    ]
