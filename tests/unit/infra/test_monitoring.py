"""The next alert and the next tile are one entry each, and a wrong one is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk

from scgpt_databricks.infra import layout, monitoring, settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.monitoring import lakeview
from scgpt_databricks.infra.settings import Monitoring


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def stack(out: Path) -> dict[str, Any]:
    """Address -> block of what watches the endpoint of ``dev``."""
    app = App(outdir=str(out))
    build(app, settings.load("dev", layout.ENVIRONMENTS), None)
    found = app.node.find_child("dev-monitoring")
    assert isinstance(found, TerraformStack)
    resources = json.loads(Cdk.synth(found))["resource"]
    return {
        f"{kind}.{name}": block for kind in resources for name, block in resources[kind].items()
    }


def test_the_next_alert_is_one_entry(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, first = stack(out), monitoring.ALERTS[0]
    more = replace(first, key="another", title="another", threshold=0.5)
    monkeypatch.setattr(monitoring, "ALERTS", (*monitoring.ALERTS, more))
    after = stack(out)
    added = after.pop("databricks_alert_v2.alert_another")
    assert after.pop("databricks_permissions.alert_another_permissions"), "its list"
    assert after == before
    assert added["evaluation"]["threshold"] == {"value": {"double_value": 0.5}}
    assert added["query_text"] == before[f"databricks_alert_v2.alert_{first.key}"]["query_text"]


def test_the_next_job_is_one_entry(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, first = stack(out), monitoring.JOBS[0]
    more = replace(first, key="another", title="another", parameters=("--days", "30"))
    monkeypatch.setattr(monitoring, "JOBS", (*monitoring.JOBS, more))
    after = stack(out)
    added = after.pop("databricks_job.job_another")
    assert after.pop("databricks_permissions.job_another_permissions"), "its list"
    assert after == before
    assert added["task"][0]["python_wheel_task"]["parameters"][-2:] == ["--days", "30"]


def test_the_next_table_of_the_report_is_one_entry_and_a_saved_query(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first = stack(out), monitoring.REPORTS[0]
    more = replace(first, key="another", title="another")
    monkeypatch.setattr(monitoring, "REPORTS", (*monitoring.REPORTS, more))
    after = stack(out)
    added = after.pop("databricks_query.query_another")
    assert after.pop("databricks_permissions.query_another_permissions"), "its list"
    assert after == before
    assert added["query_text"] == before[f"databricks_query.query_{first.key}"]["query_text"]


def test_the_next_tile_is_one_entry(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, first = stack(out), monitoring.TILES[0]
    monkeypatch.setattr(monitoring, "TILES", (*monitoring.TILES, replace(first, key="another")))
    after = stack(out)
    old, new = (
        json.loads(found.pop("databricks_dashboard.dashboard")["serialized_dashboard"])
        for found in (before, after)
    )
    assert after == before
    assert new["datasets"] == old["datasets"], "over the same file"
    (page,), (more,) = old["pages"], new["pages"]
    assert more["layout"][:-1] == page["layout"]
    assert more["layout"][-1]["widget"]["name"] == "another"


def test_a_threshold_is_a_number_or_a_key_of_the_settings() -> None:
    watch = Monitoring(error_rate_threshold=0.2)
    assert watch.threshold("error_rate_threshold") == 0.2
    assert watch.threshold(100) == 100.0


def test_tiles_over_one_file_have_the_same_values() -> None:
    first, *others = monitoring.TILES
    week = replace(first, key="week", values={"hours": 30})
    with pytest.raises(ValueError, match=r"tile 'week': .*30.* another tile over it has .*168"):
        lakeview.serialized([first, *others, week], title="t", table="main.scgpt.p")
