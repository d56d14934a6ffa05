"""`scgpt report` where something is wrong: the warehouse, the table, a clock, a privilege."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.scripts.watch.site import WAREHOUSE, Site, as_json

DAY_MS = 86_400_000
LEGACY = (
    "databricks_request_id STRING, date DATE, timestamp_ms BIGINT, status_code INT, "
    "execution_time_ms BIGINT, request STRING, response STRING, request_metadata STRING"
)


@pytest.fixture
def asked(site: Site) -> Site:
    """An endpoint after two requests."""
    site.serve((site.add_version(), 100), ai_gateway=site.gateway())
    site.rows(f"DELETE FROM {site.settings.names.inference_table}")
    for status in (200, 500):
        site.request(status=status)
    return site


@contextmanager
def edited(site: Site, name: str, old: str, new: str) -> Iterator[None]:
    """A file of the environment's folder with another line."""
    file = site.folder / name
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    try:
        yield
    finally:
        file.write_text(before)


def refusal(site: Site) -> str:
    said = site.scgpt("report", "watched", "--json")
    assert said.exit_code == 1, said.output
    return str(as_json(said)["error"]["message"])


@pytest.mark.long
def test_a_stopped_warehouse_starts(asked: Site) -> None:
    asked.call("POST", f"/api/2.0/sql/warehouses/{WAREHOUSE}/stop")
    assert asked.scgpt("report", "watched", "--json").exit_code == 0


def test_a_warehouse_that_is_gone_is_named(asked: Site) -> None:
    with edited(asked, "watched.toml", WAREHOUSE, "fedcba9876543210"):
        message = refusal(asked)
    assert "fedcba9876543210" in message
    assert "monitoring.warehouse_id" in message


def test_a_warehouse_that_the_caller_may_not_use_names_the_level(asked: Site) -> None:
    from scgpt_databricks.local_workspace.identity import principals

    levels = f"/api/2.0/permissions/warehouses/{WAREHOUSE}"
    before = asked.call("GET", levels)["access_control_list"]
    mine, theirs = (principals.token_of(asked.workspace, who) for who in ("admin", "reader"))
    asked.call("PUT", levels, access_control_list=[])
    with edited(asked, "databrickscfg", mine, theirs):
        message = refusal(asked)
    everybody = [each for each in before if each.get("group_name") == "users"]
    entry = {"group_name": "users", "permission_level": "CAN_USE"}
    asked.call("PUT", levels, access_control_list=[entry] if everybody else [])
    assert "CAN_USE" in message
    assert WAREHOUSE in message


@pytest.mark.long
@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_wrong_changes_no_count(asked: Site, tmp_path: Path, days: int) -> None:
    """The workspace's clock and this machine's are days apart."""
    page = tmp_path / "report.svg"
    asked.rows(f"SELECT count(*) FROM {asked.settings.names.inference_table}")  # all are delivered
    asked.call("PUT", "/_local/clock", offset_ms=days * DAY_MS)
    try:
        asked.request(status=400)
        done = asked.scgpt("report", "watched", "--since", "24h", "--json", "--out", str(page))
        hours = as_json(done)["sections"]["per_hour"]["rows"]
    finally:
        asked.call("PUT", "/_local/clock", offset_ms=0)
    assert sum(int(row["refused"]) for row in hours) == 1
    ElementTree.fromstring(page.read_text())


@pytest.mark.long
def test_an_empty_table_is_no_error(asked: Site, tmp_path: Path) -> None:
    asked.rows(f"DELETE FROM {asked.settings.names.inference_table}")
    for name in ("report.html", "report.svg"):
        out = tmp_path / name
        assert asked.scgpt("report", "watched", "--out", str(out)).exit_code == 0
    ElementTree.fromstring((tmp_path / "report.svg").read_text())
    found = as_json(asked.scgpt("report", "watched", "--json"))["sections"]
    assert [found[key]["rows"] for key in ("per_hour", "errors", "slow")] == [[], [], []]


def test_a_legacy_table_says_how_to_migrate(asked: Site) -> None:
    asked.rows(f"CREATE TABLE IF NOT EXISTS main.scgpt.old_payload ({LEGACY})")
    with edited(
        asked, "watched.toml", "[state]", '[gateway]\ninference_table_prefix = "old"\n[state]'
    ):
        message = refusal(asked)
    assert "has not the columns of a gateway's inference table" in message
    assert "scgpt migrate-inference-table watched" in message


@pytest.mark.long
def test_columns_that_nobody_knows_are_left_alone(asked: Site) -> None:
    table = str(asked.settings.names.inference_table)
    copy = "main.scgpt.more_payload"
    columns = ", ".join(
        f"{name} {kind}"
        for name, kind in (
            ("databricks_request_id", "STRING"),
            ("request_date", "DATE"),
            ("client_request_id", "STRING"),
            ("request_time", "TIMESTAMP"),
            ("status_code", "INT"),
            ("execution_duration_ms", "BIGINT"),
            ("request", "STRING"),
            ("response", "STRING"),
            ("logging_error_codes", "ARRAY<STRING>"),
            ("served_entity_id", "STRING"),
            ("requester", "STRING"),
            ("colour", "STRING"),
        )
    )
    asked.rows(f"CREATE TABLE IF NOT EXISTS {copy} ({columns})")
    known = columns.replace(" STRING", "").split(", colour")[0]
    names = ", ".join(part.split(" ")[0] for part in known.split(", "))
    asked.rows(f"INSERT INTO {copy} SELECT {names}, 'blue' FROM {table}")
    with edited(
        asked, "watched.toml", "[state]", '[gateway]\ninference_table_prefix = "more"\n[state]'
    ):
        found = as_json(asked.scgpt("report", "watched", "--json"))["sections"]
    assert sum(int(row["requests"]) for row in found["per_hour"]["rows"]) == 2
