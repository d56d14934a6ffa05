"""`scgpt report` over the inference table of an endpoint that was really asked."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scgpt_databricks.infra import monitoring
from scgpt_databricks.infra.monitoring.tables import create
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.scripts.watch.plots import _short
from scgpt_databricks.scripts.watch.report import hours_of
from tests.unit.scripts.watch.site import Site, as_json

STATUSES = (*[200] * 8, 400, 400, 500)


@pytest.fixture
def asked(site: Site) -> Site:
    """An endpoint after eleven requests, each of which is logged twice."""
    site.call("PUT", "/_local/settings/inference", duplicates=1)
    version = site.add_version()
    site.serve((version, 100), ai_gateway=site.gateway())
    site.rows(f"DELETE FROM {site.settings.names.inference_table}")
    for status in STATUSES:
        site.request(status=status, body={"error_code": "X"})
    return site


def test_counts_equal_those_of_the_caller_in_every_form(asked: Site, tmp_path: Path) -> None:
    found = as_json(asked.scgpt("report", "watched", "--since", "24h", "--json"))["sections"]
    (hour, *rest) = found["per_hour"]["rows"]
    totals = {
        name: sum(int(row[name]) for row in (hour, *rest))
        for name in ("requests", "refused", "failed")
    }
    assert totals == {"requests": 11, "refused": 2, "failed": 1}
    assert {row["status_code"]: row["requests"] for row in found["errors"]["rows"]} == {
        "400": "2",
        "500": "1",
    }
    assert len(found["recent"]["rows"]) == 11
    assert "scgpt monitor init watched" in found["kpi"]["problem"]
    assert "system tables" in found["cost"]["problem"]
    page, plots = tmp_path / "report.html", tmp_path / "report.svg"
    said = asked.scgpt("report", "watched", "--out", str(page))
    assert said.exit_code == 0
    assert "Requests of each hour" in said.stdout
    asked.scgpt("report", "watched", "--out", str(plots))
    text = page.read_text()
    assert not re.search(r"""(src|href)=|url\(|@import""", text), "it loads nothing"
    assert text.count("<svg") >= 3
    ElementTree.fromstring(plots.read_text())
    assert "Failed requests per hour" in plots.read_text()


def test_every_table_of_the_report_can_be_asked_once_all_tables_are_there(asked: Site) -> None:
    table = str(asked.settings.names.inference_table)
    for kind in ("requests", "drift"):
        asked.rows(create(kind, beside(table, kind)))
    found = as_json(asked.scgpt("report", "watched", "--json"))["sections"]
    assert {key for key, each in found.items() if each["problem"]} == {"usage", "cost"}
    assert set(found) == {each.key for each in monitoring.REPORTS}
    assert table.endswith("_payload")


def test_who_may_not_read_the_table_is_told_what_to_ask_for(
    asked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scgpt_databricks.local_workspace.identity import principals

    config = asked.folder / "databrickscfg"
    before = config.read_text()
    mine, theirs = (principals.token_of(asked.workspace, who) for who in ("admin", "reader"))
    config.write_text(before.replace(mine, theirs))
    said = asked.scgpt("report", "watched", "--json")
    config.write_text(before)
    assert said.exit_code == 1
    message = as_json(said)["error"]["message"]
    assert "ask for SELECT and USE SCHEMA on main.scgpt" in message
    assert "payload_readers" in message


def test_a_table_that_does_not_exist_yet_is_told(site: Site) -> None:
    file = site.folder / "watched.toml"
    text = file.read_text()
    file.write_text(text.replace("[state]", '[gateway]\ninference_table_prefix = "no"\n[state]'))
    said = site.scgpt("report", "watched", "--json")
    file.write_text(text)
    assert said.exit_code == 1
    assert "comes with the first request" in as_json(said)["error"]["message"]


@pytest.mark.parametrize(("since", "hours"), [("24h", 24), ("7d", 168), (" 4w", 672)])
def test_since_is_read(since: str, hours: int) -> None:
    assert hours_of(since) == hours


@pytest.mark.parametrize("since", ["", "7", "0d", "-1d", "7 days", "9999d", "1.5d", "d"])
def test_another_since_is_refused(since: str) -> None:
    with pytest.raises(ValueError, match="such as 24h, 7d or 4w"):
        hours_of(since)


def test_another_since_is_wrong_usage(site: Site) -> None:
    said = site.scgpt("report", "watched", "--since", "7x")
    assert said.exit_code == 2
    assert "--since: '7x': give hours" in said.output


def test_another_ending_is_wrong_usage(site: Site) -> None:
    assert site.scgpt("report", "watched", "--out", "report.pdf").exit_code == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "0.05"), (3033, "3,033"), (10_000, "10k"), (357_400, "357k"), (1.23e6, "1.23M")],
)
def test_an_axis_has_few_letters(value: float, text: str) -> None:
    assert _short(value) == text
