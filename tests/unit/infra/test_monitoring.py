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
from scgpt_databricks.infra.errors import InfraError
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.monitoring import lakeview
from scgpt_databricks.infra.settings import Monitoring
from scgpt_databricks.local_workspace.objects import dashboards


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def stack(out: Path, folder: Path = layout.ENVIRONMENTS) -> dict[str, Any]:
    """Address -> block of what watches the endpoint of ``dev``."""
    app = App(outdir=str(out))
    build(app, settings.load("dev", folder), None)
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


ID = "0a1b2c3d-0000-0000-0000-00000000000"


def test_the_platforms_own_monitor_is_declared_by_the_ids_of_the_table(
    out: Path, tmp_path: Path
) -> None:
    """Once the table is there and its ids are in the file; before, nothing is declared."""
    before = stack(out)
    assert not [name for name in before if "data_quality" in name]
    text = (layout.ENVIRONMENTS / "dev.toml").read_text()
    ids = f'[monitoring.profile]\ntable_id = "{ID}1"\nschema_id = "{ID}2"\n'
    (tmp_path / "dev.toml").write_text(text + ids)
    after = stack(out, tmp_path)
    monitor = after.pop("databricks_data_quality_monitor.request_profile")
    assert after == before
    config = monitor["data_profiling_config"]
    assert (monitor["object_type"], monitor["object_id"]) == ("table", f"{ID}1")
    assert config["output_schema_id"] == f"{ID}2"
    assert config["time_series"] == {
        "timestamp_column": "request_time",
        "granularities": ["AGGREGATION_GRANULARITY_1_HOUR"],
    }
    assert config["slicing_exprs"] == ["served_entity"]


@pytest.mark.parametrize(
    ("file", "table_id", "said"),
    [
        ("dev", "main.scgpt.requests", "an id such as"),
        ("local", f"{ID}1", "the local workspace profiles no tables"),
    ],
)
def test_a_profile_takes_ids_and_a_real_workspace(
    tmp_path: Path, file: str, table_id: str, said: str
) -> None:
    text = (layout.ENVIRONMENTS / f"{file}.toml").read_text()
    ids = f'[monitoring.profile]\ntable_id = "{table_id}"\nschema_id = "{ID}2"\n'
    (tmp_path / f"{file}.toml").write_text(text + ids)
    with pytest.raises(InfraError, match=said):
        settings.load(file, tmp_path)


def test_a_threshold_is_a_number_or_a_key_of_the_settings() -> None:
    watch = Monitoring(error_rate_threshold=0.2)
    assert watch.threshold("error_rate_threshold") == 0.2
    assert watch.threshold(100) == 100.0


def test_tiles_over_one_file_have_the_same_values() -> None:
    first, *others = monitoring.TILES
    week = replace(first, key="week", values={"hours": 30})
    with pytest.raises(ValueError, match=r"tile 'week': .*30.* another tile over it has .*168"):
        lakeview.serialized([first, *others, week], title="t", table="main.scgpt.p")


def test_a_dashboard_is_written_as_the_workspace_keeps_it() -> None:
    """Else the next plan after an update of its warehouse or title would send the content again."""
    written = lakeview.serialized(monitoring.TILES, title="requests", table="main.scgpt.t_payload")
    assert dashboards._stored(written) == written
