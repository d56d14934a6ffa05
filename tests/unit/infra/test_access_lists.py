"""Whoever plans may read everything that is watched, and whoever deploys is in each list."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from cdktf import Testing as Cdk

from scgpt_databricks.infra import monitoring, settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.main import build
from tests.unit.infra.synthesis import FULL


def _lists(folder: Path, text: str) -> dict[str, tuple[str, set[tuple[str, str]]]]:
    """Logical id of an access list of what is watched -> its object, who holds which level."""
    people = 'planner = "p@e.org"\ndeployer = "d@example.com"\n'
    (folder / "lab.toml").write_text(people + text)
    app = App(outdir=str(folder / "out"))
    build(app, settings.load("lab", folder), None)
    stack = app.node.find_child("lab-monitoring")
    assert isinstance(stack, TerraformStack)
    resources = json.loads(Cdk.synth(stack))["resource"]
    found = {}
    for name, block in resources["databricks_permissions"].items():
        entries = {
            (entry["permission_level"], entry.get("service_principal_name") or entry["user_name"])
            for entry in block.pop("access_control")
        }
        (target,) = block.values()
        found[name] = (target, entries)
    named = ("sql_endpoint", "alert_v2", "dashboard", "query", "job")
    kinds = [f"databricks_{kind}" for kind in named]
    there = {f"${{{kind}.{name}.id}}" for kind in kinds for name in resources.get(kind, ())}
    assert {target for target, _ in found.values()} == there, "one for each"
    return found


def _settings(text: str) -> settings.Settings:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "lab.toml").write_text(text)
        return settings.load("lab", Path(folder))


def test_who_plans_may_read_what_is_watched(tmp_path: Path) -> None:
    """And who deploys is in each list: Terraform hides the caller's entry from the caller alone."""
    found = _lists(tmp_path, FULL)
    read, view = "CAN_READ", "CAN_VIEW"
    expected = {"dashboard": (read, "CAN_MANAGE"), "warehouse": (view, "IS_OWNER")}
    expected |= {f"alert_{alert.key}": (read, "CAN_MANAGE") for alert in monitoring.ALERTS}
    expected |= {f"query_{each.key}": ("CAN_RUN", "CAN_MANAGE") for each in monitoring.REPORTS}
    expected |= {f"job_{job.key}": (view, "IS_OWNER") for job in monitoring.JOBS}
    assert {name: entries for name, (_, entries) in found.items()} == {
        f"{name}_permissions": {(planner, "p@e.org"), (deployer, "d@example.com")}
        for name, (planner, deployer) in expected.items()
    }


def test_the_list_of_a_warehouse_of_others_is_theirs(tmp_path: Path) -> None:
    text = FULL.replace("pause = true", 'pause = true\nwarehouse_id = "0123456789abcdef"')
    assert "warehouse_permissions" not in _lists(tmp_path, text)


BUILDER = "00000000-0000-0000-0000-00000000000b"


def test_whoever_deploys_keeps_the_management() -> None:
    """In any role that the file gives it: the provider refuses to take it from the caller."""
    declared = _settings('planner = "p@e.org"\n' + FULL)
    assert declared.object_levels("experiment")[BUILDER] == "CAN_EDIT"
    for who in (BUILDER, "p@e.org", "a@example.com", "x@example.com"):
        known = declared.deployed_by(who)
        levels = {BUILDER: "CAN_EDIT", "p@e.org": "CAN_READ", who: "CAN_MANAGE"}
        assert known.object_levels("experiment") == levels
        assert known.object_levels("job") == {"p@e.org": "CAN_VIEW", who: "IS_OWNER"}
        named = who in ("p@e.org", "a@example.com")
        assert known.endpoint_levels.people.get(who) == ("CAN_MANAGE" if named else None)
    nobody = declared.model_copy(update={"planner": None, "builder": None})
    assert nobody.deployed_by(BUILDER).object_levels("job") == {}, "no list is made for it"
    other = declared.model_copy(update={"deployer": "d@example.com"})
    assert other.deployed_by(BUILDER) is other, "the file says who deploys"
    assert declared.deployed_by(None) is declared
