"""When a schedule runs next."""

from __future__ import annotations

from datetime import datetime

import pytest

from scgpt_databricks.local_workspace.core.errors import ApiError
from scgpt_databricks.local_workspace.core.quartz import Cron


def _next(expression: str, after: str, zone: str = "UTC") -> str:
    found = Cron.parse(expression, zone).next_ms(
        int(datetime.fromisoformat(after).timestamp()) * 1000
    )
    assert found is not None
    return datetime.fromtimestamp(found / 1000, datetime.fromisoformat(after).tzinfo).isoformat()


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("0 0 * * * ?", "2026-03-01T10:00:00+00:00", "2026-03-01T11:00:00+00:00"),
        ("0 0/15 * * * ?", "2026-03-01T10:44:59+00:00", "2026-03-01T10:45:00+00:00"),
        ("0 */5 * * * ?", "2026-03-01T23:57:00+00:00", "2026-03-02T00:00:00+00:00"),
        ("30 15 8 1 * ?", "2026-03-02T00:00:00+00:00", "2026-04-01T08:15:30+00:00"),
        ("0 0 9 ? * MON-FRI", "2026-03-06T10:00:00+00:00", "2026-03-09T09:00:00+00:00"),
        ("0 0 9 ? * 1", "2026-03-06T10:00:00+00:00", "2026-03-08T09:00:00+00:00"),
        ("0 0 0 L FEB ?", "2026-03-01T00:00:00+00:00", "2027-02-28T00:00:00+00:00"),
        ("0 0 0 1 1 ? 2028", "2026-03-01T00:00:00+00:00", "2028-01-01T00:00:00+00:00"),
        ("0 10,50 4-5 * * ?", "2026-03-01T04:10:00+00:00", "2026-03-01T04:50:00+00:00"),
    ],
)
def test_the_next_time(expression: str, after: str, then: str) -> None:
    assert _next(expression, after) == then


def test_a_time_zone_keeps_its_clock_over_the_change_of_time() -> None:
    daily, zone = "0 30 2 * * ?", "Europe/Berlin"
    assert _next(daily, "2026-03-28T00:00:00+00:00", zone) == "2026-03-28T01:30:00+00:00"
    # On the 29th there is no 02:30.
    assert _next(daily, "2026-03-28T02:00:00+00:00", zone) == "2026-03-30T00:30:00+00:00"


def test_there_may_be_no_next_time() -> None:
    assert Cron.parse("0 0 0 1 1 ? 2000", "UTC").next_ms(1_800_000_000_000) is None


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        ("0 0 * * *", "UTC", "6 or 7 fields"),
        ("0 0 0 * * *", "UTC", "exactly one of day-of-month and day-of-week"),
        ("0 0 0 ? * ?", "UTC", "exactly one of day-of-month and day-of-week"),
        ("0 60 * * * ?", "UTC", "minutes '60'"),
        ("0 0 5-3 * * ?", "UTC", "hours '5-3'"),
        ("0 0 0 ? * FUN", "UTC", "day of week 'FUN'"),
        ("0 0/0 * * * ?", "UTC", "minutes '0/0'"),
        ("0 0 * * * ?", "Mars/Base", "timezone_id 'Mars/Base'"),
    ],
)
def test_what_is_not_understood_is_named(expression: str, zone: str, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        Cron.parse(expression, zone)
    assert said in caught.value.message
