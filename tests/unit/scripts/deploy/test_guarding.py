"""Judging a plan in a file, which somebody else has made."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.guards import Facts
from scgpt_databricks.infra.plan import PlanError
from scgpt_databricks.scripts import connection
from scgpt_databricks.scripts.deploy import facts
from scgpt_databricks.scripts.deploy.guarding import judge
from tests.unit.infra.plans import document, entry, plan_of

KNOWN = Facts(versions=frozenset(), validated=frozenset(), deployer="ann@example.com")
CREATION = plan_of("schema", ["create"], None, {})
DESTRUCTION = plan_of("schema", ["delete"], {}, None)
FORGOTTEN = plan_of("grant", ["forget"], {}, None)
PART_OF_IT_FORGOTTEN = document(
    entry("schema", ["delete"], {}, None), entry("grant", ["forget"], {}, None)
)


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
    file.write_text(json.dumps(plan))
    judged = judge(file, "prod", layout.ENVIRONMENTS)
    assert {finding.check for finding in judged.findings} == found
    assert judged.skipped == {}


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000])
def test_what_is_no_json_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(PlanError, match="no JSON: give what `terraform show -json"):
        judge(file, None, None)


def test_the_file_of_a_state_is_named(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"format_version": "1.0", "values": {}}')
    with pytest.raises(PlanError, match=r"state\.json: a state, no plan") as raised:
        judge(file, None, None)
    assert raised.value.exit_code == 2
