"""Values that TOML has and the file does not ask for: dates, numbers beyond all bounds, a mark."""

from __future__ import annotations

import codecs
from datetime import date, timedelta
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.settings import SettingsError
from tests.unit.infra.toml_files import FIVE_LINES, problems, write

SOON = date.today() + timedelta(days=30)
WAIVER = f'[[waivers]]\ncheck = "traffic"\nreason = "until the move"\nuntil = {SOON}\n'


@pytest.mark.parametrize("value", ["2026-01-01", "07:32:00", "2026-01-01T07:32:00Z"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[endpoint]\ndescription = {}", "endpoint.description"),
        ("[tags]\nsince = {}", "tags.since"),
        ("[gateway]\nrate_limits = [{{ calls = 1, principal = {} }}]",
         "gateway.rate_limits.0.principal"),
    ],
)  # fmt: skip
def test_a_date_is_no_text(tmp_path: Path, table: str, key: str, value: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}{table.format(value)}\n{WAIVER}")
    assert line.startswith(f"{key}: is a date or a time")


def test_a_waiver_ends_on_a_date(tmp_path: Path) -> None:
    quoted = WAIVER.replace(f"{SOON}", f'"{SOON}"')
    for text in (WAIVER, quoted):
        assert settings.load("dev", write(tmp_path, FIVE_LINES + text)).waivers[0].until == SOON
    (_, line) = problems(tmp_path, FIVE_LINES + WAIVER.replace('"until the move"', "2026-01-01"))
    assert line.startswith("waivers.0.reason: is a date")


def test_a_reason_is_more_than_blanks(tmp_path: Path) -> None:
    text = WAIVER.replace("until the move", " " * 12)
    (_, line) = problems(tmp_path, FIVE_LINES + text)
    assert line.startswith("waivers.0.reason: must have at least 10 characters")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[gateway]\nrate_limits = [{ calls = 99999999999999999999 }]", "rate_limits.0.calls"),
        ("[endpoint]\nprovisioned_concurrency = { min = 4, max = 40000000000 }",
         "provisioned_concurrency.max"),
    ],
)  # fmt: skip
def test_numbers_that_json_would_round(tmp_path: Path, table: str, key: str) -> None:
    (_, line) = problems(tmp_path, f"{FIVE_LINES}{table}\n")
    assert f"{key}: must be less than or equal to" in line


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_bytes(codecs.BOM_UTF8 + FIVE_LINES.encode())
    assert settings.load("dev", tmp_path).catalog == "lab"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a = 0x{'f' * 5000}", "a number is too long"),
        (f"{'.'.join('a' * 3000)} = 1", "nested too deeply"),
        (f"{'.'.join('a' * 600)} = 2026-01-01", "nested too deeply"),
    ],
)
def test_a_file_beyond_bounds_stops_itself_alone(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, text)
    write(tmp_path, FIVE_LINES, "prod")
    assert settings.load("prod", tmp_path).production
    with pytest.raises(SettingsError) as caught:
        settings.load("dev", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dev.toml'}: {said}")
    assert len(str(caught.value)) < 300
