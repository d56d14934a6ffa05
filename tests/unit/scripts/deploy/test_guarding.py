"""What is asked of a plan that somebody else has made, where the environment is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.guards import Facts
from scgpt_databricks.scripts import connection
from scgpt_databricks.scripts.deploy import facts
from scgpt_databricks.scripts.deploy.guarding import judge
from tests.unit.infra.plans import plan_of

KNOWN = Facts(versions=frozenset(), validated=frozenset(), deployer="ann@example.com")
CREATION = plan_of("schema", ["create"], None, {})
DESTRUCTION = plan_of("schema", ["delete"], {}, None)
FORGOTTEN = plan_of("grant", ["forget"], {}, None)
PART_OF_IT_FORGOTTEN = {
    "resource_changes": [*DESTRUCTION["resource_changes"], *FORGOTTEN["resource_changes"]]
}


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (CREATION, {"deploy-by-person"}),
        (DESTRUCTION, {"deploy-by-person", "deletion", "destroy-production"}),
        (PART_OF_IT_FORGOTTEN, {"deploy-by-person", "deletion", "destroy-production"}),
        (FORGOTTEN, {"deploy-by-person"}),
    ],
)
def test_who_deploys_and_what_is_destroyed_is_judged(
    plan: dict[str, Any], found: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "require_running", lambda _: None)
    monkeypatch.setattr(connection, "workspace_client", lambda _: SimpleNamespace())
    monkeypatch.setattr(facts, "gather", lambda *_: KNOWN)
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan | {"format_version": "1.2"}))
    judged = judge(file, "prod", layout.ENVIRONMENTS)
    assert {finding.check for finding in judged.findings} == found
    assert judged.skipped == {}
