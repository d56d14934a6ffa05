"""What is a plan as Terraform writes it, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.scripts.deploy.guarding import judge
from scgpt_databricks.scripts.deploy.plan_file import PlanFileError
from tests.unit.infra.plans import ENDPOINT, edited, plan_of

# As Terraform 1.11 prints them.
STATE = {
    "format_version": "1.0",
    "terraform_version": "1.11.4",
    "values": {"root_module": {"resources": [{"address": "databricks_schema.x"}]}},
}
NOTHING_TO_DO = {
    "format_version": "1.2",
    "planned_values": {"root_module": {}},
    "applyable": False,
    "complete": True,
    "errored": False,
}


def written(document: Any, folder: Path) -> Path:
    file = folder / "plan.json"
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize("state", [STATE, {"format_version": "1.0"}])
def test_a_state_is_no_plan(state: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PlanFileError, match=r"a state, no plan.*terraform plan -out=") as raised:
        judge(written(state, tmp_path), None, None)
    assert raised.value.exit_code == 2


def test_a_plan_that_changes_nothing_is_one(tmp_path: Path) -> None:
    assert judge(written(NOTHING_TO_DO, tmp_path), None, None).findings == ()


def of_endpoint(**changes: Any) -> list[Any]:
    """The entries of a plan that creates an endpoint."""
    plan = plan_of("model_serving", ["create"], None, edited(**changes))
    entries: list[Any] = plan["resource_changes"]
    return entries


def without(*path: str) -> list[Any]:
    """The entries of a plan, one of which lacks a key."""
    (entry,) = of_endpoint()
    *outer, last = path
    place = entry
    for name in outer:
        place = place[name]
    del place[last]
    return [entry]


@pytest.mark.parametrize(
    ("entries", "where"),
    [
        (None, "resource_changes is no list"),
        ({}, "resource_changes is no list"),
        (["x"], "resource_changes.0: "),
        ([{"address": "a"}], "resource_changes.0.mode: "),
        (without("change", "before"), "resource_changes.0.change.before: "),
        (without("change", "actions"), "resource_changes.0.change.actions: "),
        ([*of_endpoint(), None], "resource_changes.1: "),
        (of_endpoint(config={}), "resource_changes.0.change.after.config: "),
        (of_endpoint(ai_gateway=[[]]), "resource_changes.0.change.after.ai_gateway.0: "),
        (
            of_endpoint(config__traffic_config__routes=[{"traffic_percentage": "all"}]),
            "resource_changes.0.change.after.config.0.traffic_config.0.routes.0.traffic_percentage",
        ),
        (
            plan_of("schema", ["vanish"], {}, None)["resource_changes"],
            "resource_changes.0.change.actions.0: ",
        ),
    ],
)
def test_what_terraform_does_not_write_is_told_in_a_sentence(
    entries: Any, where: str, tmp_path: Path
) -> None:
    document = {"format_version": "1.2", "resource_changes": entries}
    with pytest.raises(PlanFileError) as raised:
        judge(written(document, tmp_path), None, None)
    assert f"not what Terraform writes: {where}" in str(raised.value)
    assert "terraform show -json PLANFILE" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000])
def test_what_is_no_json_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(PlanFileError, match="no JSON: give what `terraform show -json"):
        judge(file, None, None)


def test_values_are_not_told(tmp_path: Path) -> None:
    entity = {**ENDPOINT["config"][0]["served_entities"][0], "environment_vars": ["s3cr3t"]}
    document = {
        "format_version": "1.2",
        "resource_changes": of_endpoint(config__served_entities=[entity]),
    }
    with pytest.raises(PlanFileError, match=r"served_entities\.0\.environment_vars") as raised:
        judge(written(document, tmp_path), None, None)
    assert "s3cr3t" not in str(raised.value)
