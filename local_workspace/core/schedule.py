"""Schedules of alerts and jobs: checked when they are stored, asked whether they are due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scgpt_databricks import quartz

from .errors import invalid
from .store import Document


def check(schedule: Document, cron: str) -> None:
    """Refuse a schedule that could not run.

    Parameters
    ----------
    cron
        Field that holds the Quartz expression; alerts and jobs call it differently.

    Raises
    ------
    ApiError
        400 naming the field.
    """
    for name in (cron, "timezone_id"):
        if not schedule.get(name):
            raise invalid(f"Missing required field: schedule.{name}")
    try:
        quartz.parse(str(schedule[cron]))
    except ValueError as error:
        raise invalid(f"schedule.{cron} {schedule[cron]!r}: {error}.") from error
    try:
        ZoneInfo(str(schedule["timezone_id"]))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise invalid(
            f"timezone_id {schedule['timezone_id']!r} is no time zone: use one such as "
            "UTC or Europe/Zurich."
        ) from error
    paused = schedule.get("pause_status", "UNPAUSED")
    if paused not in ("PAUSED", "UNPAUSED"):
        raise invalid(f"schedule.pause_status {paused!r} is not one of PAUSED, UNPAUSED.")


def is_due(schedule: Document, cron: str, after_ms: int, now_ms: int) -> bool:
    """Return whether a schedule runs after one time and up to another, in UTC milliseconds."""
    if schedule.get("pause_status") == "PAUSED":
        return False
    after = datetime.fromtimestamp(after_ms / 1000, ZoneInfo(schedule["timezone_id"]))
    due = quartz.parse(schedule[cron]).next_after(after)
    return due is not None and due.timestamp() * 1000 <= now_ms
