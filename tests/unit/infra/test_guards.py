"""A plan may change some things and create some; the guards refuse the others."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.guards import Existing, Facts, ungoverned
from tests.unit.infra.judged import LOCAL, check, codes, live, serving, versions
from tests.unit.infra.plans import ENDPOINT, document, edited, entry, plan_of, update

DEV = settings.load("dev", layout.ENVIRONMENTS)


def test_an_ordinary_update_passes() -> None:
    plan = update(**serving(("main.scgpt.m", "2")), tags=[])
    known = Facts(versions=versions(1, 2), endpoints=live().endpoints)
    assert codes(plan, known) == []


def test_creation_passes() -> None:
    assert codes(plan_of("model_serving", ["create"], None, ENDPOINT)) == []


def test_no_change_is_not_judged() -> None:
    assert codes(plan_of("model_serving", ["no-op"], ENDPOINT, edited(config=[]))) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "new"),
        ("budget_policy_id", "p"),
        ("email_notifications", [{"on_update_failure": ["a@b"]}]),
        ("rate_limits", [{"calls": 1, "renewal_period": "minute"}]),
    ],
)
def test_what_the_provider_never_sends_is_refused(field: str, value: Any) -> None:
    assert codes(update(**{field: value})) == [("no-call", "refuse")]
    assert codes(plan_of("model_serving", ["create"], None, edited(**{field: value}))) == []


@pytest.mark.parametrize("kind", ["schema", "volume", "registered_model"])
@pytest.mark.parametrize("name", ["ml-prod", "7_days", "目录", "x" * 64])
def test_names_that_sql_quotes_are_taken_where_they_exist_and_not_made(
    kind: str, name: str
) -> None:
    after = {"name": name, "catalog_name": "ml-prod"}
    assert codes(plan_of(kind, ["create"], None, after)) == [("quoted-name", "refuse")]
    assert codes(plan_of(kind, ["create"], None, {**after, "name": "scgpt"})) == []
    assert codes(plan_of(kind, ["create"], None, {"catalog_name": "dev"})) == []
    assert codes(plan_of(kind, ["no-op"], after, after, importing={"id": "x"})) == []
    assert codes(plan_of(kind, ["update"], after, {**after, "comment": "c"})) == []


def test_the_gateway_must_stay() -> None:
    assert codes(update(ai_gateway=[])) == [("gateway-removed", "refuse")]


@pytest.mark.parametrize("name", ["catalog_name", "schema_name", "table_name_prefix"])
def test_an_inference_table_cannot_move(name: str) -> None:
    plan = update(**{f"ai_gateway__inference_table_config__{name}": "other"})
    assert codes(plan) == [("table-moved", "refuse")]
    remedy = check(plan, LOCAL, Facts())[0].remedy
    assert "turn monitoring off and waive production-without-table" in remedy


def test_an_inference_table_may_be_switched_off_with_a_warning() -> None:
    assert codes(update(ai_gateway__inference_table_config=[])) == [("table-disabled", "warn")]


@pytest.mark.parametrize("name", ["inference_table_config", "usage_tracking_config"])
def test_enabled_false_is_never_sent(name: str) -> None:
    plan = update(**{f"ai_gateway__{name}__enabled": False})
    assert ("disabled-is-not-sent", "refuse") in codes(plan)


@pytest.mark.parametrize("kind", ["schema", "volume", "registered_model", "model_serving"])
def test_deletions_and_replacements_are_refused(kind: str) -> None:
    assert codes(plan_of(kind, ["delete"], {}, None)) == [("deletion", "refuse")]
    replaced = plan_of(kind, ["delete", "create"], {}, ENDPOINT, replace_paths=[["name"]])
    assert codes(replaced) == [("replacement", "refuse")]
    assert "because of name" in check(replaced, LOCAL, Facts())[0].message


def test_grants_and_permissions_may_go() -> None:
    assert codes(plan_of("grant", ["delete"], {}, None)) == []


@pytest.mark.parametrize(
    ("kind", "facts", "severity"),
    [
        ("registered_model", Facts(versions=versions(1)), "refuse"),
        ("registered_model", Facts(), "refuse"),
        ("registered_model", Facts(versions=frozenset()), "warn"),
        ("registered_model", Facts(versions=frozenset({("main.other.m", 1)})), "warn"),
        # Their content is not asked for.
        ("schema", Facts(versions=frozenset()), "refuse"),
        ("volume", Facts(versions=frozenset()), "refuse"),
        ("mlflow_experiment", Facts(versions=frozenset()), "refuse"),
        ("model_serving", live(), "refuse"),
        ("model_serving", Facts(), "refuse"),
        ("model_serving", live(ready=False), "warn"),
    ],
)
def test_tainted_resources_are_replaced_only_while_nothing_is_lost(
    kind: str, facts: Facts, severity: str
) -> None:
    before = {"catalog_name": "main", "schema_name": "scgpt", "name": "m"}
    before |= {"name": "scgpt-serving"} if kind == "model_serving" else {}
    plan = plan_of(
        kind, ["delete", "create"], before, ENDPOINT, action_reason="replace_because_tainted"
    )
    assert ("tainted", severity) in codes(plan, facts)


@pytest.mark.parametrize("kind", ["schema", "volume", "registered_model", "model_serving", "job"])
def test_what_others_made_is_adopted_not_created(kind: str) -> None:
    plan = plan_of(kind, ["create"], None, ENDPOINT)
    there = {f"databricks_{kind}.x": Existing("the-id", "ann@example.com")}
    (finding,) = check(plan, LOCAL, Facts(existing=there, deployer="bob@example.com"))
    assert (finding.check, finding.severity) == ("exists-already", "refuse")
    assert f"terraform import databricks_{kind}.x the-id" in finding.remedy
    assert "ann@example.com" in finding.message


@pytest.mark.parametrize("broken", [True, False])
@pytest.mark.parametrize("roles", [{"deployer": "me"}, {"deployer": "plan", "declared": "me"}])
def test_what_an_own_creation_left_is_taken_over(broken: bool, roles: dict[str, str]) -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    there = {"databricks_model_serving.x": Existing("the-id", "me", broken)}
    (finding,) = check(plan, LOCAL, Facts(existing=there, **roles))
    assert (finding.check, finding.severity) == ("exists-already", "warn")
    assert ("makes it anew" if broken else "takes it over") in finding.remedy


def test_a_planned_take_over_is_told_and_judged_as_any_change() -> None:
    there = {"databricks_model_serving.x": Existing("scgpt-serving", "me")}
    known = Facts(existing=there, deployer="me")
    still = document(
        entry("model_serving", ["no-op"], ENDPOINT, ENDPOINT, importing={"id": "scgpt-serving"})
    )
    assert codes(still, known) == [("exists-already", "warn")]
    after = edited(description="ours")
    changed = document(
        entry("model_serving", ["update"], ENDPOINT, after, importing={"id": "scgpt-serving"})
    )
    assert codes(changed, known) == [("exists-already", "warn"), ("no-call", "refuse")]


def test_nobody_elses_update_is_interrupted() -> None:
    assert codes(update(tags=[]), live(updating=True)) == [("endpoint-updating", "refuse")]
    of_another = update(name="embeddings")
    of_another["resource_changes"][0]["change"]["before"] = edited(name="embeddings")
    assert codes(of_another, live(updating=True)) == []


def test_legacy_tables_are_refused() -> None:
    legacy = [{"enabled": True, "catalog_name": "main"}]
    assert codes(update(config__auto_capture_config=legacy)) == [("legacy-table", "refuse")]


@pytest.mark.parametrize(
    ("limit", "refused"),
    [("8s", True), ("59s", True), ("500ms", True), ("1m", False), ("1h30m", False), (None, False)],
)
def test_a_short_create_timeout_would_delete_the_endpoint(limit: str | None, refused: bool) -> None:
    plan = plan_of("model_serving", ["create"], None, edited(timeouts={"create": limit}))
    assert codes(plan) == ([("short-timeout", "refuse")] if refused else [])


def test_another_provider_is_refused() -> None:
    plan = plan_of("model_serving", ["create"], None, ENDPOINT)
    plan["resource_changes"][0]["provider_name"] = "registry.terraform.io/hashicorp/null"
    assert codes(plan) == [("unknown-provider", "refuse")]


@pytest.mark.parametrize(
    ("limit", "refused"),
    [("45m", True), ("90m", True), ("1h30m", True), ("91m", False), ("100m", False), (None, True)],
)
def test_outside_local_an_image_has_to_be_built_in_time(limit: str | None, refused: bool) -> None:
    plan = plan_of("model_serving", ["create"], None, edited(timeouts={"create": limit}))
    for environment in (DEV, None):
        found = [finding.check for finding in check(plan, environment, Facts())]
        assert found == (["short-timeout"] if refused else [])


def test_route_optimisation_is_fixed_at_creation() -> None:
    plan = plan_of(
        "model_serving", ["delete", "create"], {}, ENDPOINT, replace_paths=[["route_optimized"]]
    )
    assert codes(plan) == [("route-optimization", "refuse")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"description": "first"}),
        ({"description": "old"}, {}),
        ({"email_notifications": [{"on_update_failure": ["a@b.c"]}]}, {"email_notifications": []}),
        (
            {"email_notifications": [{"on_update_failure": ["a@b.c"], "on_update_success": []}]},
            {"email_notifications": [{"on_update_failure": [], "on_update_success": None}]},
        ),
    ],
)
def test_added_and_emptied_fields_are_seen(before: dict[str, Any], after: dict[str, Any]) -> None:
    plan = plan_of("model_serving", ["update"], edited(**before), edited(**after))
    assert codes(plan) == [("no-call", "refuse")]


def test_absent_and_empty_are_the_same() -> None:
    before = edited(email_notifications=[], description="")
    after = edited(email_notifications=[{"on_update_failure": None}], description=None, tags=[])
    assert codes(plan_of("model_serving", ["update"], before, after)) == []


def test_what_the_api_has_already_may_be_written_down() -> None:
    plan = update(email_notifications=[{"on_update_failure": ["a@b.c"], "on_update_success": None}])
    there = live(email_notifications={"on_update_failure": ["a@b.c"]})
    assert codes(plan, there) == []
    assert codes(plan, live()) == [("no-call", "refuse")]


def test_an_endpoint_whose_manifest_was_lost_is_told() -> None:
    (finding,) = ungoverned(LOCAL, live(), released=False)
    assert (finding.check, finding.severity) == ("manifest-missing", "refuse")
    assert "local.release.json" in finding.message
    assert list(ungoverned(LOCAL, live(), released=True)) == []
    assert list(ungoverned(LOCAL, Facts(), released=False)) == []
