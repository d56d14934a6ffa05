"""The file refuses what the platform would refuse half way through a deploy."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from tests.unit.infra.toml_files import FIVE_LINES, problems, write


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("99 99 99 * * ?", "seconds must be 0-59, *"),
        ("0 60 * * * ?", "minutes must be 0-59"),
        ("0 0 24 * * ?", "hours must be 0-23"),
        ("0 0 0 0 * ?", "day of month must be 1-31"),
        ("0 0 0 32 * ?", "day of month must be 1-31"),
        ("0 0 0 1 13 ?", "month must be 1-12 or JAN-DEC"),
        ("0 0 0 ? * 8", "day of week must be 1-7 or SUN-SAT"),
        ("0 0 0 ? * FRI#6", "day of week must be 1-7"),
        ("0 0 0 1 1 ? 1969", "year must be 1970-2099"),
        ("? 0 0 1 1 ?", "seconds must be 0-59"),
        ("0 */0 * * * ?", "minutes must be 0-59"),
        ("0 0/60 * * * ?", "minutes must be 0-59"),
        ("0 1- * * * ?", "minutes must be 0-59"),
        ("0 1,,2 * * * ?", "minutes must be 0-59"),
        ("0 \u0665 * * * ?", "minutes must be 0-59"),
    ],
)
def test_a_schedule_that_never_is(tmp_path: Path, schedule: str, said: str) -> None:
    (_, line) = problems(tmp_path, f'{FIVE_LINES}[monitoring]\nschedule = "{schedule}"\n')
    assert line.startswith(f"monitoring.schedule: {said}")


@pytest.mark.parametrize(
    "schedule",
    [
        "0 5 * * * ?",
        "0 0/15 8-18 ? * MON-FRI",
        "0 0 22-2 ? * fri-mon",
        "59 59 23 31 12 ? 2099",
        "0 0 6,18 L * ?",
        "0 0 6 L-3 JAN,JUL ?",
        "0 0 6 15W * ? 2026/2",
        "0 0 6 LW * ?",
        "0 0 6 ? * 6L",
        "0 0 6 ? * FRI#3",
        "0 */5 * * * ?",
        "0 1-31/5 * * * ?",
    ],
)
def test_schedules_of_every_form(tmp_path: Path, schedule: str) -> None:
    text = f'{FIVE_LINES}[monitoring]\nschedule = "{schedule}"\n'
    assert settings.load("dev", write(tmp_path, text)).monitoring.schedule == schedule


def limits(count: int, key: str) -> str:
    entries = (f'{{ calls = 9, key = "{key}", principal = "p{n}" }}' for n in range(count))
    return f"[gateway]\nrate_limits = [{', '.join(entries)}]"


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        (
            '[endpoint]\nbudget_policy_id = "team"',
            "endpoint.budget_policy_id",
            "must be an id such",
        ),
        (limits(21, "user"), "gateway.rate_limits", "20 at most, 5 of them of groups"),
        (limits(6, "user_group"), "gateway.rate_limits", "20 at most, 5 of them of groups"),
        (
            '[permissions.users]\nscgpt-scientists = "CAN_QUERY"',
            "permissions.users.scgpt-scientists",
            "must be an e-mail address",
        ),
        (
            '[permissions.service_principals]\n"a@b.org" = "CAN_QUERY"',
            "permissions.service_principals.a@b.org",
            "must be an application id: people, by e-mail address, are in permissions.users",
        ),
        (
            '[monitoring]\nwarehouse_id = "w"\nwarehouse_size = "Small"',
            "monitoring",
            "has both warehouse_id and warehouse_size: give one of them",
        ),
    ],
)
def test_what_the_platform_does_not_take(tmp_path: Path, table: str, key: str, said: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}{table}\n")
    assert line.startswith(f"{key}: ")
    assert said in line


def test_what_the_platform_just_takes(tmp_path: Path) -> None:
    policy = "8a3f0c1e-0000-4000-8000-00000000b0d9"
    text = f"""{FIVE_LINES}{limits(5, "user_group")}
[endpoint]
budget_policy_id = "{policy}"
[permissions.users]
"a@b.org" = "CAN_QUERY"
[monitoring]
warehouse_id = "w"
"""
    loaded = settings.load("dev", write(tmp_path, text))
    assert loaded.endpoint.budget_policy_id == policy
    assert (
        len(
            settings.load(
                "dev", write(tmp_path, FIVE_LINES + limits(20, "user"))
            ).gateway.rate_limits
        )
        == 20
    )


def test_a_waiver_is_for_a_year_at_most(tmp_path: Path) -> None:
    def waiver(until: date) -> str:
        return f"""{FIVE_LINES}[[waivers]]
check = "deploy-by-person"
reason = "no pipeline before the launch"
until = {until}
"""

    year = date.today() + timedelta(days=366)
    (loaded,) = settings.load("dev", write(tmp_path, waiver(year))).waivers
    assert loaded.until == year
    for day in (year + timedelta(days=2), date.max):
        (_, line) = problems(tmp_path, waiver(day))
        assert line.startswith(f"waivers: deploy-by-person until {day}: a waiver is for a year")


@pytest.mark.parametrize(
    "schedule", ["0 5 * * *", "0 5 * * * *", "0 5 ? * ?", "hourly", "0 5 * ? * ? 20 27"]
)
def test_a_schedule_is_quartz(tmp_path: Path, schedule: str) -> None:
    text = FIVE_LINES + f'[monitoring]\nschedule = "{schedule}"\ntimezone = "Mars/Olympus"\n'
    lines = problems(tmp_path, text)
    assert [line.split(":")[0] for line in lines[1:]] == [
        "monitoring.schedule",
        "monitoring.timezone",
    ]
