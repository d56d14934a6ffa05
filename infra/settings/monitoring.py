"""What watches the endpoint."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from .fields import Closed, Emails, NonEmpty, matching

WarehouseSize = Literal[
    "2X-Small", "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large"
]

_FIELD = r"[0-9A-Za-z*,/?#LW-]+"
Cron = Annotated[
    str,
    matching(
        rf"{_FIELD}( {_FIELD}){{5,6}}",
        "a Quartz schedule of 6 or 7 fields, seconds first, such as '0 5 * * * ?'",
    ),
]


class Monitoring(Closed):
    """Warehouse, alerts, dashboard and jobs."""

    enabled: bool = True
    warehouse_id: NonEmpty | None = None
    """A SQL warehouse that exists; left out, the environment has one of its own."""
    warehouse_size: WarehouseSize = "2X-Small"
    emails: Emails = ()
    """Who is told when an alert fires."""
    error_rate_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the last two hours' requests that may fail on the endpoint's side."""
    schedule: Cron = "0 5 * * * ?"
    """When alerts are evaluated."""
    timezone: str = "UTC"
    pause: bool = False
    """Schedules of alerts and jobs stand still."""

    def threshold(self, given: str | float) -> float:
        """A threshold of an alert: a number, or the key here that gives it."""
        return float(getattr(self, given) if isinstance(given, str) else given)

    @property
    def pause_status(self) -> Literal["PAUSED", "UNPAUSED"]:
        """``pause`` in the platform's words."""
        return "PAUSED" if self.pause else "UNPAUSED"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError("must be a time zone such as 'UTC' or 'Europe/Zurich'")
        return zone

    @field_validator("schedule")
    @classmethod
    def _quartz(cls, schedule: str) -> str:
        fields = schedule.split()
        if (fields[3] == "?") == (fields[5] == "?"):
            raise ValueError("day of month or day of week must be '?', and not both")
        return schedule
