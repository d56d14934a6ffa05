"""The workspace killed between any two steps, and everything run again: the same end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.site import Site

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

STEPS = ("workspace", "checkpoint", "registry", "build", "serving", "embed")
"""Those behind it only read."""


@pytest.mark.timeout(900)
def test_killed_after_each_step(tmp_path: Path) -> None:
    site = Site(tmp_path / "environments")
    run = ("quickstart", "--port", str(site.port))
    try:
        for step in STEPS:
            site.succeed(*run, "--stop-after", step)
            site.kill_workspace()
            assert site.status()["state"] == "stopped"
        found = site.succeed(*run, "--json").json
        assert found["endpoint_state"] == "READY"
        assert found["second_plan_changes"] == 0
        assert (found["cells"], found["model_version"]) == (700, 1)
        assert found["inference_table_rows"] == found["requests_sent"] == 7
        versions = [(version["version"], version["status"]) for version in site.versions()]
        assert versions == [(1, "READY")]
        manifest = json.loads(site.manifest.read_text())
        assert [served["version"] for served in manifest["served"]] == [1]
    finally:
        site.stop_workspace()
