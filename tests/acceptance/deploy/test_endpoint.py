"""The endpoint's second day: what a plan does not see, what a provider does not send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import ENDPOINT, Place

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def differences(place: Place) -> dict[str, tuple[object, object]]:
    """Field -> declared and found, as `scgpt verify` tells."""
    said = place.scgpt("verify", "local", "--json")
    found = {d["field"]: (d["declared"], d["found"]) for d in said.json["differences"]}
    assert said.code == (1 if found else 0), said.err
    return found


def test_what_a_plan_does_not_see_is_found_and_sent(released: Place, tmp_path: Path) -> None:
    limits = [{"calls": 600, "key": "user"}, {"calls": 60, "key": "user_group", "principal": "x"}]
    released.declare(gateway={"rate_limits": limits}, endpoint={"environment": {"MODE": "fast"}})
    released.release((1, 100))
    deployed = released.succeed("deploy", "local", "--json").json
    assert deployed["verified"]
    assert differences(released) == {}

    # Cleared by hand: the provider never sees it.
    released.api("PUT", f"{ENDPOINT}/ai-gateway")
    released.api("PATCH", f"{ENDPOINT}/tags", delete_tags=["project", "environment"])
    assert set(differences(released)) == {
        "inference_table", "usage_tracking", "rate_limits.user", "rate_limits.user_group.x",
        "tags.project", "tags.environment",
    }  # fmt: skip
    assert released.changes() == 0, "an empty plan is no proof"
    table = released.scgpt("verify", "local").out
    assert "main.scgpt.scgpt_inference_payload" in table
    assert "absent" in table

    would = released.succeed("endpoint", "apply", "local", "--dry-run", "--json").json
    assert [each["call"] for each in would["sent"]] == ["PATCH tags", "PUT ai-gateway"]
    assert len(differences(released)) == 6, "a dry run changes nothing"
    done = released.succeed("endpoint", "apply", "local", "--json").json
    assert (done["applied"], done["left"], done["changes"]) == (True, [], [])
    assert differences(released) == {}
    assert released.changes() == 0

    _notifications_are_changed_by_the_api(released, limits)
    _what_is_fixed_at_creation_is_refused(released, limits)
    _a_plan_from_elsewhere_is_judged(released, tmp_path)


def _notifications_are_changed_by_the_api(released: Place, limits: list[dict[str, object]]) -> None:
    for told in ({"on_update_failure": ["ops@example.com"]}, {}):
        emails = {"email_notifications": told} if told else {}
        released.declare(
            gateway={"rate_limits": limits}, endpoint={"environment": {"MODE": "fast"}, **emails}
        )
        planned = released.scgpt("plan", "local", "--json")
        assert planned.code == 3
        (finding,) = planned.json["stacks"]["local-serving"]["findings"]
        assert finding["check"] == "no-call"
        assert "scgpt endpoint apply" in finding["remedy"]
        done = released.succeed("endpoint", "apply", "local", "--json").json
        assert [each["call"] for each in done["sent"]] == ["PATCH notifications"]
        assert done["changes"] == []
        assert released.endpoint()["email_notifications"].get("on_update_failure", []) == (
            told.get("on_update_failure", [])
        )
        assert differences(released) == {}
        assert released.changes() == 0


def _what_is_fixed_at_creation_is_refused(released: Place, limits: list[dict[str, object]]) -> None:
    released.declare(
        gateway={"rate_limits": limits},
        endpoint={"environment": {"MODE": "fast"}, "description": "cells"},
    )
    before = released.endpoint()
    for command in (("deploy", "local"), ("endpoint", "apply", "local")):
        refused = released.scgpt(*command)
        assert refused.code == 3
        assert "description" in refused.err
        assert "deploy another endpoint" in refused.err or "another name" in refused.err
    assert released.endpoint() == before
    released.declare(gateway={"rate_limits": limits}, endpoint={"environment": {"MODE": "fast"}})


def _a_plan_from_elsewhere_is_judged(released: Place, tmp_path: Path) -> None:
    """As a pipeline of somebody else's would: a plan as JSON, with and without the workspace."""
    entity = {"name": "m-9", "entity_name": "main.scgpt.m", "entity_version": "9"}
    routes = [{"served_model_name": "m-9", "traffic_percentage": 100}]
    config = {"served_entities": [entity], "traffic_config": [{"routes": routes}]}
    after = {"name": "scgpt-serving", "timeouts": None, "config": [config]}
    change = {"actions": ["create"], "before": None, "after": after}
    entry = {
        "address": "databricks_model_serving.other",
        "mode": "managed",
        "type": "databricks_model_serving",
        "provider_name": "registry.terraform.io/databricks/databricks",
        "change": change,
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"format_version": "1.2", "resource_changes": [entry]}))
    offline = released.scgpt("guard", plan, "--json")
    assert offline.code == 3
    assert [finding["check"] for finding in offline.json["findings"]] == ["short-timeout"]
    assert "version-missing" in offline.json["skipped"]
    asked = released.scgpt("guard", plan, "--env", "local", "--json")
    assert asked.code == 3
    assert [finding["check"] for finding in asked.json["findings"]] == [
        "exists-already",
        "version-missing",
    ]
    assert asked.json["skipped"] == {}
    plan.write_text("no plan")
    assert released.scgpt("guard", plan).code == 2
