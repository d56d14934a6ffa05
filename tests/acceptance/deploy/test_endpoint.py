"""The endpoint's second day: what a plan does not see, what a provider does not send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import ENDPOINT, Place

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def differences(place: Place) -> dict[str, tuple[object, object]]:
    """Field -> declared and found, as `scgpt verify` tells."""
    said = place.scgpt("verify", "local", "--json")
    found = {d["field"]: (d["declared"], d["found"]) for d in said.json["differences"]}
    assert said.code == (1 if found else 0), said.err
    return found


LIMITS = [{"calls": 600, "key": "user"}, {"calls": 60, "key": "user_group", "principal": "x"}]


def declare(place: Place, **endpoint: Any) -> None:
    place.declare(
        gateway={"rate_limits": LIMITS}, endpoint={"environment": {"MODE": "fast"}, **endpoint}
    )


@pytest.fixture
def served(released: Place) -> Place:
    """Version 1 behind the endpoint, as declared."""
    declare(released)
    released.release((1, 100))
    if released.scgpt("verify", "local").code != 0:
        released.scgpt("endpoint", "apply", "local")  # what an earlier case left
        assert released.succeed("deploy", "local", "--json").json["verified"]
    return released


def test_what_a_plan_does_not_see_is_found_and_sent(served: Place) -> None:
    assert differences(served) == {}
    # Cleared by hand: the provider never sees it.
    served.api("PUT", f"{ENDPOINT}/ai-gateway")
    served.api("PATCH", f"{ENDPOINT}/tags", delete_tags=["project", "environment"])
    assert set(differences(served)) == {
        "inference_table", "usage_tracking", "rate_limits.user", "rate_limits.user_group.x",
        "tags.project", "tags.environment",
    }  # fmt: skip
    assert served.changes() == 0, "an empty plan is no proof"
    table = served.scgpt("verify", "local").out
    assert "main.scgpt.scgpt_inference_payload" in table
    assert "absent" in table

    would = served.succeed("endpoint", "apply", "local", "--dry-run", "--json").json
    assert [each["call"] for each in would["sent"]] == ["PATCH tags", "PUT ai-gateway"]
    assert len(differences(served)) == 6, "a dry run changes nothing"
    done = served.succeed("endpoint", "apply", "local", "--json").json
    assert (done["applied"], done["left"], done["changes"]) == (True, [], [])
    assert differences(served) == {}
    assert served.changes() == 0


@pytest.mark.parametrize("told", [{"on_update_failure": ["ops@example.com"]}, {}])
def test_notifications_are_changed_by_the_api(served: Place, told: dict[str, list[str]]) -> None:
    other = {} if told else {"on_update_success": ["other@example.com"]}
    declare(served, email_notifications=other)
    served.scgpt("endpoint", "apply", "local")

    declare(served, email_notifications=told)
    planned = served.scgpt("plan", "local", "--json")
    assert planned.code == 3
    (finding,) = planned.json["stacks"]["local-serving"]["findings"]
    assert finding["check"] == "no-call"
    assert "scgpt endpoint apply" in finding["remedy"]
    done = served.succeed("endpoint", "apply", "local", "--json").json
    assert [each["call"] for each in done["sent"]] == ["PATCH notifications"]
    assert done["changes"] == []
    found = served.endpoint().get("email_notifications", {})
    assert {when: emails for when, emails in found.items() if emails} == told
    assert differences(served) == {}
    assert served.changes() == 0


def test_what_is_fixed_at_creation_is_refused(served: Place) -> None:
    declare(served, description="cells")
    before = served.endpoint()
    for command in (("deploy", "local"), ("endpoint", "apply", "local")):
        refused = served.scgpt(*command)
        assert refused.code == 3
        assert "description" in refused.err
        assert "deploy another endpoint" in refused.err or "another name" in refused.err
    assert served.endpoint() == before


def test_a_plan_from_elsewhere_is_judged(served: Place, tmp_path: Path) -> None:
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
    offline = served.scgpt("guard", plan, "--json")
    assert offline.code == 3
    assert [finding["check"] for finding in offline.json["findings"]] == ["short-timeout"]
    assert "version-missing" in offline.json["skipped"]
    asked = served.scgpt("guard", plan, "--env", "local", "--json")
    assert asked.code == 3
    assert [finding["check"] for finding in asked.json["findings"]] == [
        "exists-already",
        "version-missing",
    ]
    assert asked.json["skipped"] == {}
    plan.write_text("no plan")
    assert served.scgpt("guard", plan).code == 2
