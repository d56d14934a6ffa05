"""`scgpt environments` against a workspace that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.site import Site, wait_until
from tests.acceptance.ways.conftest import MODEL, SERVING

pytestmark = pytest.mark.acceptance


def test_live_against_manifest_and_drift(place: Site, declared: Path) -> None:
    (declared / "broken.toml").write_text("catalog = \n")
    command = ("environments", "--environments", declared, "--json")
    broken, row = place.succeed(*command).json["environments"]
    assert "no TOML" in broken["problem"]
    assert (row["state"], row["live"], row["released"]) == ("absent", None, {"1": 100})
    assert row["workspace"] == place.url
    assert row["stacks"] == ["local-registry", "local-serving", "local-monitoring"]
    assert (row["deployed"], row["last_deploy"]) == (["local-registry"], None)

    entity = {"entity_name": MODEL, "entity_version": "2", "workload_size": "Small"}
    config = {"served_entities": [entity]}
    place.api("POST", SERVING, name="scgpt-serving", config=config)
    wait_until(lambda: place.api("GET", f"{SERVING}/scgpt-serving")["state"]["ready"] == "READY")
    _, row = place.succeed(*command).json["environments"]
    assert (row["state"], row["live"], row["as_released"]) == ("READY", {"2": 100}, False)
    assert row["made_by"] == "admin@local.test"
    assert row["last_change"]
    assert row["deployed"] == ["local-registry", "local-serving"]
    assert any("scgpt-serving" in each for each in row["drift"])
    place.api("DELETE", f"{SERVING}/scgpt-serving")
