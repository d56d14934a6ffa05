"""`scgpt migrate-inference-table` on an endpoint that still has a legacy table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow
import pytest
from deltalake import write_deltalake

from scgpt_databricks.local_workspace.catalog import securables
from tests.unit.scripts.watch.site import SERVING, Site, as_json

LEGACY = "main.scgpt.old_payload"
AT = datetime(2026, 1, 5, 12, tzinfo=UTC)


def plant(site: Site) -> None:
    """Let the endpoint be one from before: with a legacy table of two requests."""
    pa: Any = pyarrow
    data = [
        {
            "databricks_request_id": f"old-{number}",
            "client_request_id": None,
            "date": AT.date(),
            "timestamp_ms": int(AT.timestamp() * 1000),
            "status_code": 200,
            "sampling_fraction": 1.0,
            "execution_time_ms": 5,
            "request": "{}",
            "response": "{}",
        }
        for number in range(2)
    ]
    path = site.workspace.tables / LEGACY
    if not path.exists():
        write_deltalake(str(path), pa.Table.from_pylist(data))
        securables.register_table(
            site.workspace,
            LEGACY,
            owner="admin@local.test",
            columns=[],
            storage_location=path.as_uri(),
        )
    document = site.workspace.store.get("endpoints", "scgpt-watched")
    assert document is not None
    document["config"]["auto_capture_config"] = {
        "catalog_name": "main",
        "schema_name": "scgpt",
        "table_name_prefix": "old",
        "enabled": False,
    }
    site.workspace.store.put("endpoints", "scgpt-watched", document)


def test_both_tables_are_read_through_one_view_and_nothing_is_dropped(site: Site) -> None:
    site.serve((site.add_version(), 100))
    plant(site)
    command = ("migrate-inference-table", "watched", "--json")
    planned = as_json(site.scgpt(*command, "--dry-run"))
    assert planned["legacy"] == LEGACY
    assert len(planned["steps"]) == 2
    assert "ai_gateway" not in site.call("GET", f"{SERVING}/scgpt-watched")
    done = as_json(site.scgpt(*command))
    assert done["applied"]
    site.rows(f"DELETE FROM {done['gateway']}")
    site.request(status=500)
    found = site.rows(
        f"SELECT logged_by, count(*), max(status_code), min(request_time) FROM {done['view']} "
        "GROUP BY 1 ORDER BY 1"
    )
    assert [row[:3] for row in found] == [["gateway", "1", "500"], ["legacy", "2", "200"]]
    assert str(found[1][3]).startswith("2026-01-05T12:00")
    assert site.rows(f"SELECT count(*) FROM {LEGACY}") == [["2"]]
    again = as_json(site.scgpt(*command))
    assert again["steps"] == [f"make the view {done['view']} over it and {LEGACY}"]


def test_an_endpoint_without_a_legacy_table_gets_the_gateways(site: Site) -> None:
    site.serve((site.add_version(), 100))
    said = site.scgpt("migrate-inference-table", "watched")
    assert said.exit_code == 0
    assert "has no legacy inference table" in said.stdout
    assert "nothing to do" in site.scgpt("migrate-inference-table", "watched").stdout


@pytest.mark.parametrize("prefix", ["other"])
def test_a_gateway_with_another_table_is_refused(site: Site, prefix: str) -> None:
    gateway = site.gateway()
    gateway["inference_table_config"]["table_name_prefix"] = prefix
    site.serve((site.add_version(), 100), ai_gateway=gateway)
    said = site.scgpt("migrate-inference-table", "watched", "--json")
    assert said.exit_code == 1
    assert f"logs to main.scgpt.{prefix}_payload" in as_json(said)["error"]["message"]
