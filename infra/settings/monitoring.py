"""The settings of what watches the endpoint."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator

from scgpt_databricks import quartz

from .fields import Closed, Emails, NonEmpty, matching, unique

WarehouseSize = Literal[
    "2X-Small", "X-Small", "Small", "Medium", "Large", "X-Large", "2X-Large", "3X-Large", "4X-Large"
]


def _readable(schedule: str) -> str:
    quartz.parse(schedule)
    return schedule


Uuid = Annotated[
    str,
    matching(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "an id such as 0a1b2c3d-0000-0000-0000-000000000000, as `scgpt monitor init ENV` says it",
    ),
]
Cron = Annotated[str, AfterValidator(_readable)]


class Profile(Closed):
    """The platform's own monitor takes these ids; ``scgpt monitor init`` says both."""

    table_id: Uuid
    """The id of the table of requests."""
    schema_id: Uuid
    """The id of the schema that its tables of metrics go to."""


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
    drift_days: Annotated[int, Field(ge=1, le=90)] = 7
    """Length of the window that is looked at for drift."""
    drift_false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance that a year of looks at a version raises a false alarm of drift."""
    ms_per_token_threshold: Annotated[float, Field(gt=0)] = 1.0
    """Milliseconds for each token that 95 % of the answers of two hours may take."""
    volume_threshold: Annotated[float, Field(gt=1)] = 10.0
    """How many times more, or fewer, requests than usual may come in two hours."""
    versions_threshold: Annotated[int, Field(ge=1)] = 1
    """How many served entities may answer within two hours; 2 lets canaries be."""
    devices_threshold: Annotated[int, Field(ge=0)] = 0
    """How many served entities with a GPU may compute on their CPU."""
    drift_threshold: Annotated[int, Field(ge=0)] = 0
    """How many causes of drift the newest look may find."""
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Older rows of the inference table, and of the tables made of it, are deleted."""
    destinations: Annotated[tuple[NonEmpty, ...], AfterValidator(unique)] = ()
    """Ids of notification destinations that exist (Slack, a webhook, ...), told beside emails."""
    profile: Profile | None = None
    """Turns Databricks' own monitor over the table of requests on, once that table is there."""
    schedule: Cron = "0 5 * * * ?"
    """When alerts are evaluated."""
    timezone: str = "UTC"
    pause: bool = False
    """Schedules of alerts and jobs stand still."""

    @model_validator(mode="after")
    def _one_warehouse(self) -> Self:
        if self.warehouse_id is not None and "warehouse_size" in self.model_fields_set:
            raise ValueError("has both warehouse_id and warehouse_size: give one of them")
        return self

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
