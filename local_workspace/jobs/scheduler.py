"""The scheduler: it runs alerts and jobs that are due by the workspace's clock."""

from __future__ import annotations

import asyncio
import logging

from ..alerts.evaluation import evaluate
from ..core.errors import ApiError
from ..core.routing import Routes
from ..core.schedule import is_due
from ..core.workspace import Workspace
from ..objects.documents import ALERT, JOB
from .execution import of

routes = Routes()

_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


async def startup(workspace: Workspace) -> None:
    workspace.runtime["scheduler"] = asyncio.create_task(_watch(workspace), name="scheduler")


async def shutdown(workspace: Workspace) -> None:
    task: asyncio.Task[None] = workspace.runtime.pop("scheduler")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _watch(workspace: Workspace) -> None:
    """Look once a second; what was missed while the instance was stopped is not made up for."""
    last = workspace.now_ms()
    while True:
        await asyncio.sleep(_PAUSE_S)
        now = workspace.now_ms()
        try:
            await run_due(workspace, last, now)
        except Exception:  # noqa: BLE001 - one bad entry must not end all schedules
            _log.exception("scheduler")
        last = now


async def run_due(workspace: Workspace, after_ms: int, now_ms: int) -> None:
    """Evaluate each alert and start each job that was due in a span of time, once.

    Parameters
    ----------
    after_ms, now_ms
        The span, in milliseconds of the workspace's clock; the first instant is left out.
    """
    for alert_id, document in workspace.store.items(ALERT.name):
        schedule = document["alert"]["schedule"]
        if is_due(schedule, "quartz_cron_schedule", after_ms, now_ms):
            try:
                await evaluate(workspace, alert_id)
            except ApiError as error:  # trashed meanwhile
                _log.info("alert %s: %s", alert_id, error)
    for _, job in workspace.store.items(JOB.name):
        schedule = job["settings"].get("schedule")
        if schedule and is_due(schedule, "quartz_cron_expression", after_ms, now_ms):
            of(workspace).start(job, job["owner"], "PERIODIC", {})
