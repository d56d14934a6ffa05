"""Schedules: when they run next, what is refused, and that settings and local workspace agree."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scgpt_databricks import quartz
from scgpt_databricks.infra import settings
from scgpt_databricks.infra.settings import SettingsError
from scgpt_databricks.local_workspace.core import schedule
from scgpt_databricks.local_workspace.core.errors import ApiError
from tests.unit.infra.toml_files import FIVE_LINES, write

# Each after 2026-03-01T10:00:00, a Sunday, in UTC.
VALID = {
    "0 0 * * * ?": "2026-03-01T11:00:00",
    "0 0 10 * * ?": "2026-03-02T10:00:00",
    "1 0 10 * * ?": "2026-03-01T10:00:01",
    "0 0/15 * * * ?": "2026-03-01T10:15:00",
    "0 */25 * * * ?": "2026-03-01T10:25:00",
    "0 /20 * * * ?": "2026-03-01T10:20:00",
    "0 10,50 4-5 * * ?": "2026-03-02T04:10:00",
    "30 15 8 1 * ?": "2026-04-01T08:15:30",
    "0 0 0 1 * ?": "2026-04-01T00:00:00",
    "0 0 22-2 * * ?": "2026-03-01T22:00:00",
    "0 0 22-2/3 * * ?": "2026-03-01T22:00:00",
    "0 58-2 9 * * ?": "2026-03-02T09:00:00",
    "0 0 0 31 * ?": "2026-03-31T00:00:00",
    "0 0 0 30-2 * ?": "2026-03-02T00:00:00",
    "0 0 0 29 2 ?": "2028-02-29T00:00:00",
    "0 0 0 L * ?": "2026-03-31T00:00:00",
    "0 0 0 L FEB ?": "2027-02-28T00:00:00",
    "0 0 0 L-3 * ?": "2026-03-28T00:00:00",
    "0 0 0 LW * ?": "2026-03-31T00:00:00",
    "0 0 0 LW MAY ?": "2026-05-29T00:00:00",
    "0 0 0 L-3W * ?": "2026-03-27T00:00:00",
    "0 0 0 15W * ?": "2026-03-16T00:00:00",
    "0 0 0 14W * ?": "2026-03-13T00:00:00",
    "0 0 0 1W AUG ?": "2026-08-03T00:00:00",
    "0 0 0 31W MAY ?": "2026-05-29T00:00:00",
    "0 0 0 31W APR,JUL ?": "2026-07-31T00:00:00",
    "0 0 9 ? * MON-FRI": "2026-03-02T09:00:00",
    "0 0 9 ? * fri-mon": "2026-03-02T09:00:00",
    "0 0 9 ? * 1": "2026-03-08T09:00:00",
    "0 0 9 ? * 2/2": "2026-03-02T09:00:00",
    "0 0 9 ? * L": "2026-03-07T09:00:00",
    "0 0 9 ? * 6L": "2026-03-27T09:00:00",
    "0 0 9 ? * FRIL": "2026-03-27T09:00:00",
    "0 0 9 ? * 6#3": "2026-03-20T09:00:00",
    "0 0 9 ? * SUN#5": "2026-03-29T09:00:00",
    "0 0 9 ? APR-JUN SUN#5": "2026-05-31T09:00:00",
    "0 0 9 ? NOV-FEB 2": "2026-11-02T09:00:00",
    "0 0 0 1 1 ? 2028": "2028-01-01T00:00:00",
    "0 0 0 1 1 ? 2027/5": "2027-01-01T00:00:00",
    "59 59 23 31 12 ? 2099": "2099-12-31T23:59:59",
    "0 0 0 1 1 ? 2000": None,
    "0 0 0 31 2 ?": None,
    "0 0 0 ? 2 1#5 2027-2031": None,
}

INVALID = {
    "hourly": "6 or 7 fields",
    "0 0 * * *": "6 or 7 fields",
    "0 5 * ? * 1 2027 1": "6 or 7 fields",
    "0 0 0 * * *": "day of month or day of week must be '?'",
    "0 0 0 ? * ?": "day of month or day of week must be '?'",
    "? 0 0 * * ?": "seconds must be 0-59",
    "0 60 * * * ?": "minutes must be 0-59",
    "0 0/0 * * * ?": "minutes must be 0-59",
    "0 5/60 * * * ?": "minutes must be 0-59",
    "0 -5 * * * ?": "minutes must be 0-59",
    "0 1, * * * ?": "minutes must be 0-59",
    "0 1-2-3 * * * ?": "minutes must be 0-59",
    "0 *-3 * * * ?": "minutes must be 0-59",
    "0 0 24 * * ?": "hours must be 0-23",
    "0 0 \u0663 * * ?": "hours must be 0-23",
    "0 0 0 0 * ?": "day of month must be 1-31",
    "0 0 0 32W * ?": "day of month must be 1-31",
    "0 0 0 L-31 * ?": "day of month must be 1-31",
    "0 0 0 1,LW * ?": "day of month must be 1-31",
    "0 0 0 1-5W * ?": "day of month must be 1-31",
    "0 0 0 6L * ?": "day of month must be 1-31",
    "0 0 0 1 13 ?": "month must be 1-12 or JAN-DEC",
    "0 0 0 1 MAI ?": "month must be 1-12 or JAN-DEC",
    "0 0 0 ? * FUN": "day of week must be 1-7 or SUN-SAT",
    "0 0 0 ? * 0": "day of week must be 1-7 or SUN-SAT",
    "0 0 0 ? * 6#6": "day of week must be 1-7 or SUN-SAT",
    "0 0 0 ? * LW": "day of week must be 1-7 or SUN-SAT",
    "0 0 0 ? * 2,6L": "day of week must be 1-7 or SUN-SAT",
    "0 0 0 1 1 ? 2150": "year must be 1970-2099",
    "0 0 0 1 1 ? 2030-2027": "year must be 1970-2099",
}


@pytest.mark.parametrize(("expression", "then"), VALID.items())
def test_the_next_time(expression: str, then: str | None) -> None:
    found = quartz.parse(expression).next_after(datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert (found and found.replace(tzinfo=None).isoformat()) == then


@pytest.mark.parametrize(("expression", "said"), INVALID.items())
def test_a_refusal_names_the_field(expression: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"must be .*") as caught:
        quartz.parse(expression)
    assert said in str(caught.value)


@pytest.mark.parametrize("expression", [*VALID, *INVALID])
def test_settings_and_local_workspace_agree(tmp_path: Path, expression: str) -> None:
    valid = expression in VALID
    text = f'{FIVE_LINES}[monitoring]\nschedule = "{expression}"\n'
    stored = {"quartz_cron_expression": expression, "timezone_id": "UTC"}
    if valid:
        assert settings.load("dev", write(tmp_path, text)).monitoring.schedule == expression
        schedule.check(stored, "quartz_cron_expression")
    else:
        with pytest.raises(SettingsError, match=r"monitoring\.schedule"):
            settings.load("dev", write(tmp_path, text))
        with pytest.raises(ApiError, match=r"schedule\.quartz_cron_expression"):
            schedule.check(stored, "quartz_cron_expression")


def test_the_days_that_run_one_after_the_other() -> None:
    nights, moment = quartz.parse("0 0 22-2/2 ? * FRI-SUN"), datetime(2026, 3, 5, tzinfo=UTC)
    found = []
    for _ in range(7):
        following = nights.next_after(moment)
        assert following is not None
        found.append(f"{following:%a %H}")
        moment = following
    assert found == ["Fri 00", "Fri 02", "Fri 22", "Sat 00", "Sat 02", "Sat 22", "Sun 00"]


def test_a_time_zone_keeps_its_clock_over_the_change_of_time() -> None:
    daily, zone = quartz.parse("0 30 2 * * ?"), ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 28, 2, tzinfo=zone)
    assert daily.next_after(before) == datetime(2026, 3, 28, 2, 30, tzinfo=zone)
    # On the 29th there is no 02:30.
    skipped = datetime(2026, 3, 28, 3, tzinfo=zone)
    assert daily.next_after(skipped) == datetime(2026, 3, 30, 2, 30, tzinfo=zone)
    # On 25 October there are two.
    first = datetime(2026, 10, 25, 2, 30, tzinfo=zone)
    assert daily.next_after(first) == datetime(2026, 10, 26, 2, 30, tzinfo=zone)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timezone_id": "Mars/Base"}, "timezone_id 'Mars/Base'"),
        ({"timezone_id": ""}, r"Missing required field: schedule\.timezone_id"),
        ({"quartz_cron_schedule": None}, r"Missing required field: schedule\.quartz_cron_schedule"),
        ({"pause_status": "STOPPED"}, r"schedule\.pause_status 'STOPPED'"),
    ],
)
def test_the_rest_of_a_schedule_is_checked(changes: dict[str, str], said: str) -> None:
    valid = {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "UTC"}
    with pytest.raises(ApiError, match=said):
        schedule.check(valid | changes, "quartz_cron_schedule")


def test_a_schedule_is_due_once() -> None:
    hourly = {"quartz_cron_schedule": "0 0 * * * ?", "timezone_id": "Europe/Berlin"}
    hour = int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp() * 1000)

    def due(after_ms: int, now_ms: int, **more: str) -> bool:
        return schedule.is_due(hourly | more, "quartz_cron_schedule", after_ms, now_ms)

    assert due(hour - 1000, hour)
    assert not due(hour, hour + 1000)
    assert not due(hour - 2000, hour - 1000)
    assert not due(hour - 1000, hour, pause_status="PAUSED")
