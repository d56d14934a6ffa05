"""Good, slow, failing and drifting requests to a deployed endpoint, each found under its own name
in the report, the alerts and the drift table; every count is the caller's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.traffic import Traffic
from tests.acceptance.site import Site, wait_until
from tests.unit.loopback import JsonHandler, listening

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

ENDPOINT = "scgpt-serving"
TABLE = "main.scgpt.scgpt_inference_payload"
DATA_SETS = 12
WEEKS = 10  # before now, so that looks, which are stamped with the real time, come after them
HEARD: list[str] = []


class Hook(JsonHandler):
    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        said = json.loads(self.sent())["alert"]["alert"]
        HEARD.append(said["name"].removeprefix(f"{ENDPOINT}: "))
        self.answer(200, {})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place of its own: its clock moves, and a version's files are changed. Alerts tell a webhook
    of this process.
    """
    site = Site(tmp_path_factory.mktemp("watched"))
    with listening(Hook) as port:
        try:
            site.start_workspace()
            hook = {"generic_webhook": {"url": f"http://127.0.0.1:{port}/alerts"}}
            path = "/api/2.0/notification-destinations"
            told = site.api("POST", path, display_name="hook", config=hook)["id"]
            toml = site.folder / "local.toml"
            text = toml.read_text()
            assert "[monitoring]\n" in text
            toml.write_text(
                text.replace("[monitoring]\n", f'[monitoring]\ndestinations = ["{told}"]\n')
            )
            site.succeed("quickstart", "--port", str(site.port), "--json", limit_s=500)
            site.succeed("monitor", "init", "local")
            site.succeed("monitor", "unpack", "local")  # what the quickstart asked
            # Its requests are of today, the weeks before it: a report of one would count them too.
            for table in (TABLE, TABLE.replace("payload", "requests")):
                query(site, f"DELETE FROM {table}")
            site.control("PUT", "settings/inference", duplicates=1)
            yield site
        finally:
            site.stop_workspace()


def query(site: Site, statement: str) -> None:
    path, warehouse = "/api/2.0/sql/statements", "0123456789abcdef"
    done = site.api("POST", path, statement=statement, warehouse_id=warehouse, wait_timeout="50s")
    assert done["status"]["state"] == "SUCCEEDED", done


class Weeks(Traffic):
    """Traffic of one week after the other."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.url, site.token(), ENDPOINT, site.folder / "workspace")
        self.site, self.number = site, 0
        self.told = set[str]()  # alerts that told already do so again after an hour only

    def next(self) -> None:
        self.number += 1
        assert self.number < WEEKS
        self.at(timedelta(weeks=self.number - WEEKS))

    @property
    def end(self) -> str:
        return f"{self.now + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}"

    def unpack(self) -> None:
        """Wait until the inference table has every request, then unpack."""
        found = 0

        def unpacked() -> bool:
            nonlocal found
            found += int(self.site.succeed("monitor", "unpack", "local", "--json").json["requests"])
            return found >= self.sent.requests

        wait_until(unpacked, 120)
        assert found == self.sent.requests

    def look(self) -> dict[str, str]:
        """Unpack and look at the week; return the alarms: cause and finding."""
        self.unpack()
        done = self.site.scgpt("monitor", "drift", "local", "--until", self.end, "--json")
        rows = {row["cause"]: row for row in done.json["looks"]}
        assert set(rows) == {"model", "input", "composition", "embedding"}, done.err
        found = {cause: row["finding"] for cause, row in rows.items() if row["alarm"]}
        assert done.code == int(bool(found)), rows
        return found

    def report(self) -> dict[str, list[dict[str, Any]]]:
        sections = self.site.succeed("report", "local", "--since", "24h", "--json").json["sections"]
        return {key: each["rows"] for key, each in sections.items()}

    def alerts(self) -> set[str]:
        """Evaluate the deployed alerts of requests; return the titles of those that fire."""
        return self._fired(lambda title: title != "drift")

    def drift_alert(self) -> set[str]:
        """Evaluate the alert of drift, today."""
        self.site.control("PUT", "clock", offset_ms=0)
        found = self._fired(lambda title: title == "drift")
        self.site.control("PUT", "clock", offset_ms=int(self.since.total_seconds() * 1000))
        return found

    def _fired(self, chosen: Any) -> set[str]:
        HEARD.clear()
        fired = set()
        for alert in self.site.api("GET", "/api/2.0/alerts")["alerts"]:
            title = alert["display_name"].removeprefix(f"{ENDPOINT}: ")
            if chosen(title):
                state = self.site.control("POST", f"alerts/{alert['id']}/evaluate")["state"]
                assert state in ("OK", "TRIGGERED"), (title, state)
                fired |= {title} if state == "TRIGGERED" else set()
        assert fired <= {*HEARD} | self.told, "what fires is delivered"
        self.told |= fired
        return fired


@pytest.fixture(scope="module")
def weeks(site: Site) -> Weeks:
    """The first week is frozen."""
    found = Weeks(site)
    found.next()
    found.good(16)
    found.unpack()
    site.succeed("monitor", "freeze", "local", "--days", "7", "--until", found.end)
    return found


def total(rows: list[dict[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def check_counts(weeks: Weeks, report: dict[str, list[dict[str, Any]]]) -> None:
    """The report counts what the caller counted, though each row was delivered twice."""
    sent, hours, kpi = weeks.sent, report["per_hour"], report["kpi"]
    for rows in (hours, kpi):
        found = replace(sent, **{n: total(rows, n) for n in ("requests", "refused", "failed")})
        assert found == sent
    assert total(kpi, "cells") == sent.cells


def test_a_good_week_raises_no_alarm(weeks: Weeks) -> None:
    weeks.next()
    weeks.good(DATA_SETS)
    assert weeks.look() == {}
    check_counts(weeks, weeks.report())
    assert weeks.alerts() == set()
    assert weeks.drift_alert() == set()


def test_slow_and_failing_requests_are_found(weeks: Weeks) -> None:
    weeks.next()
    weeks.good(2)
    weeks.refused()
    weeks.slow(6.0, cells=4)
    for _ in range(2):
        weeks.failing()
    weeks.unpack()
    report = weeks.report()
    check_counts(weeks, report)
    (slow,) = report["slow"]
    assert int(slow["execution_duration_ms"]) > 5_000
    assert {row["status_code"]: row["requests"] for row in report["errors"]} == {
        "400": "1",
        "500": "2",
    }
    assert {row["reason"]: row["requests"] for row in report["refusals"]} == {
        "packed_base64": "1",
        "http_500": "2",
    }
    assert weeks.alerts() == {"error rate", "slow answers"}


def test_a_gpu_that_is_not_used_is_found(weeks: Weeks) -> None:
    """The local endpoint is declared with a GPU, and computes on this machine's processor."""
    site = weeks.site
    jobs = site.api("GET", "/api/2.2/jobs/list")["jobs"]
    named = f"{ENDPOINT}: device of each served entity"
    (job,) = [each for each in jobs if each["settings"]["name"] == named]
    run = site.api("POST", "/api/2.2/jobs/run-now", job_id=job["job_id"])["run_id"]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = site.api("GET", f"/api/2.2/jobs/runs/get?run_id={run}")["state"]
        return found

    wait_until(lambda: state()["life_cycle_state"] == "TERMINATED", 120)
    assert state()["result_state"] == "SUCCESS", state()
    assert "device fallback" in weeks.alerts()
    done = site.scgpt("status", "local", "--json")
    assert done.code == 1
    assert any("computes on its CPU" in each for each in done.json["problems"])


DRIFTING: dict[str, tuple[dict[str, Any], str, str]] = {
    "a lost panel": ({"lost": 0.4}, "input", "genes are lost"),
    "another mixture": ({"myeloid": 0.6}, "composition", "mixture of cells"),
    "normalised counts": ({"normalised": True}, "input", "counts are already normalised"),
}


@pytest.mark.parametrize("shift", DRIFTING)
def test_drift_is_found_under_its_name(weeks: Weeks, shift: str) -> None:
    more, cause, finding = DRIFTING[shift]
    weeks.next()
    weeks.good(DATA_SETS, **more)
    assert weeks.look() == {cause: finding}
    check_counts(weeks, weeks.report())
    assert weeks.drift_alert() == {"drift"}


def test_a_changed_model_behind_the_same_version_is_found(
    weeks: Weeks, demo_checkpoints: Path
) -> None:
    """Somebody puts other weights into the files of the version that is served."""
    site = weeks.site
    (weights,) = (site.folder / "workspace").glob("files/Models/main/scgpt/*/1/**/best_model.pt")
    weights.write_bytes((demo_checkpoints / "random" / "best_model.pt").read_bytes())
    site.stop_workspace()
    site.start_workspace()
    weeks.next()
    deadline = time.monotonic() + 120
    path = f"/api/2.0/serving-endpoints/{ENDPOINT}"
    while (state := site.api("GET", path)["state"])["ready"] != "READY":
        assert time.monotonic() < deadline, state
        time.sleep(1)
    weeks.good(DATA_SETS)
    assert weeks.look()["model"] == "answers of another model"
    site.control("PUT", "clock", offset_ms=0)
    newest = weeks.report()["drift"][:4]
    assert {row["cause"]: row["finding"] for row in newest if row["alarm"] == "true"}["model"]


def test_the_page_shows_all_of_it(weeks: Weeks, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    weeks.site.control("PUT", "clock", offset_ms=0)
    weeks.site.succeed("report", "local", "--since", "12w", "--out", str(page))
    text = page.read_text()
    for said in ("genes are lost", "mixture of cells", "answers of another model", "http_500"):
        assert said in text
    assert text.count("<svg") >= 5
