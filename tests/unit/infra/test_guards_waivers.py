"""Rules of production and of deployers, and their waivers."""

from __future__ import annotations

import ast
import re
from datetime import date, timedelta
from pathlib import Path

from scgpt_databricks.infra import guards, layout, settings
from scgpt_databricks.infra.guards import CHECKS, Facts, deployer, destruction, on_waivers, skipped
from tests.unit.infra.judged import check
from tests.unit.infra.plans import ENDPOINT, update

LOCAL = settings.load("local", layout.ENVIRONMENTS)
DEV = settings.load("dev", layout.ENVIRONMENTS)
PROD = settings.load("prod", layout.ENVIRONMENTS)


def test_production_keeps_its_capacity_and_its_log() -> None:
    entity = ENDPOINT["config"][0]["served_entities"][0] | {"scale_to_zero_enabled": True}
    plan = update(config__served_entities=[entity], ai_gateway__inference_table_config=[])
    found = {
        finding.check for finding in check(plan, PROD, Facts()) if finding.severity == "refuse"
    }
    assert found == {"production-scale-to-zero", "production-without-table"}
    assert {f.check for f in check(plan, DEV, Facts())} == {"table-disabled"}
    (entry,) = plan["resource_changes"]
    entry["change"] |= {"actions": ["no-op"], "before": entry["change"]["after"]}
    assert {f.check for f in check(plan, PROD, Facts())} == found, "without a change as well"
    assert check(plan, DEV, Facts()) == []


def waiving(check_name: str, until: date) -> settings.Settings:
    waiver = settings.Waiver(check=check_name, reason="agreed with the owners", until=until)
    return PROD.model_copy(update={"waivers": (waiver,)})


def test_a_waiver_makes_a_warning_of_a_refusal() -> None:
    entity = ENDPOINT["config"][0]["served_entities"][0] | {"scale_to_zero_enabled": True}
    plan = update(config__served_entities=[entity])
    until = date(2026, 12, 31)
    waived = waiving("production-scale-to-zero", until)
    (finding,) = check(plan, waived, Facts(today=until))
    assert finding.severity == "warn"
    assert "Waived: agreed with the owners (until 2026-12-31)" in str(finding)
    (finding,) = check(plan, waived, Facts(today=until + timedelta(days=1)))
    assert finding.severity == "refuse"
    assert "(agreed with the owners) expired on 2026-12-31" in str(finding)
    other = waiving("traffic", until)
    assert check(plan, other, Facts(today=until))[0].severity == "refuse"


def test_waivers_that_do_nothing_are_told() -> None:
    day = date(2026, 12, 31)
    later = day + timedelta(days=1)
    assert list(on_waivers(waiving("traffic", day), day)) == []
    (expired,) = on_waivers(waiving("traffic", day), later)
    assert (expired.check, expired.severity) == ("waiver-expired", "warn")
    (unknown,) = on_waivers(waiving("trafic", day), day)
    assert unknown.check == "waiver-unknown"
    assert "traffic" in unknown.remedy


def test_people_deploy_to_local_only() -> None:
    person, principal = Facts(deployer="ann@example.com"), Facts(deployer="0a1b2c3d-0000")
    assert deployer(LOCAL, person) == deployer(PROD, principal) == []
    (finding,) = deployer(PROD, person)
    assert (finding.check, finding.severity) == ("deploy-by-person", "refuse")
    waived = waiving("deploy-by-person", date.max)
    assert deployer(waived, person)[0].severity == "warn"


def test_production_is_destroyed_only_when_that_was_waived() -> None:
    assert destruction(DEV, Facts()) == []
    assert destruction(PROD, Facts())[0].severity == "refuse"
    assert destruction(waiving("destroy-production", date.max), Facts())[0].severity == "warn"


def test_offline_the_skipped_checks_are_named() -> None:
    of_workspace = {
        "version-missing", "version-not-validated", "exists-already", "endpoint-updating",
        "deploy-by-person", "manifest-missing", "reference-missing", "version-rolled-back",
    }  # fmt: skip
    of_settings = {
        "production-without-table", "production-scale-to-zero", "workload-type",
        "destroy-production", "waiver-expired", "waiver-unknown",
    }  # fmt: skip
    assert set(skipped(None, Facts())) == of_workspace | of_settings
    assert set(skipped(DEV, Facts())) == of_workspace
    assert skipped(DEV, Facts(versions=frozenset(), validated=frozenset())) == {}


def test_every_check_has_a_name_that_a_waiver_can_use() -> None:
    sources = [
        path.read_text()
        for path in Path(guards.__file__).parent.glob("*.py")
        if path.name != "findings.py"
    ]
    used = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and node.value in CHECKS
    }
    assert used == set(CHECKS)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in CHECKS)


def test_every_check_is_documented() -> None:
    text = (layout.ROOT / "docs" / "deploy-safety.md").read_text()
    rows = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `")}
    assert rows == {name: f"| `{name}` | {meaning} |" for name, meaning in CHECKS.items()}


def test_the_number_of_guards_is_the_one_that_is_told() -> None:
    text = (layout.ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\d+) guards catch ", text, re.MULTILINE) == [str(len(CHECKS))]
