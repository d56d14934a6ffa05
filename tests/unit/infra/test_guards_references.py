"""Plans that refer to what nobody has made are refused before an apply stops half way."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.guards import Facts, references
from scgpt_databricks.infra.plan import Plan
from tests.unit.infra.judged import LOCAL, check
from tests.unit.infra.plans import edited, plan_of

DEV = settings.load("dev", layout.ENVIRONMENTS)
ENTITY = {"name": "m-1", "entity_name": "main.scgpt.m", "entity_version": "1"}
WITH_SECRET = edited(
    config__served_entities=[{**ENTITY, "environment_vars": {"T": "{{secrets/hub/key}}", "N": "4"}}]
)
LISTED = [
    {"group_name": "team", "permission_level": "CAN_QUERY"},
    {"user_name": "ann@example.com", "permission_level": "CAN_QUERY"},
    {"service_principal_name": "an-id", "permission_level": "CAN_MANAGE"},
]
TOLD = {"notification": {"subscriptions": [{"destination_id": "d-1"}]}}
CASES: list[tuple[str, dict[str, Any], set[tuple[str, str]]]] = [
    ("schema", {"catalog_name": "main", "name": "s"}, {("catalog", "main")}),
    ("grant", {"principal": "team"}, {("group", "team")}),
    ("grant", {"principal": "ann@example.com"}, {("user", "ann@example.com")}),
    (
        "permissions",
        {"access_control": LISTED},
        {("group", "team"), ("user", "ann@example.com"), ("service principal", "an-id")},
    ),
    ("dashboard", {"warehouse_id": "w-1"}, {("warehouse", "w-1")}),
    (
        "alert_v2",
        {"warehouse_id": "w-1", "evaluation": TOLD},
        {("warehouse", "w-1"), ("notification destination", "d-1")},
    ),
    (
        "model_serving",
        WITH_SECRET,
        {("secret scope", "hub"), ("secret", "hub/key"), ("catalog", "main")},
    ),
    ("job", {"name": "j"}, set()),
]


@pytest.mark.parametrize(("kind", "after", "expected"), CASES)
def test_what_a_resource_refers_to(
    kind: str, after: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    (change,) = Plan.of(plan_of(kind, ["create"], None, after)).changes
    assert set(references.references(change)) == expected


def test_what_is_not_known_yet_refers_to_nothing() -> None:
    for kind, after, _ in CASES:
        unknown = {key: None for key in after if key not in ("config", "name")}
        (change,) = Plan.of(plan_of(kind, ["create"], None, after | unknown)).changes
        found = set(references.references(change))
        assert found <= {("secret scope", "hub"), ("secret", "hub/key")}


def judged(kind: str, after: dict[str, Any], where: settings.Settings, **facts: Any) -> list[str]:
    known = Facts(**facts)
    found = check(plan_of(kind, ["create"], None, after), where, known)
    return [
        f"{each.severity}: {each.message}" for each in found if each.check == "reference-missing"
    ]


def test_a_reference_to_nothing_is_refused_where_that_is_certain() -> None:
    gone = frozenset({("group", "team"), ("secret scope", "hub"), ("secret", "hub/key")})
    grant, listed = {"principal": "team"}, {"access_control": LISTED}
    refused = ["refuse: the group team: not in the workspace"]
    unsure = ["warn: the group team: not found in the workspace with your rights"]
    sees = {"absent": gone, "sees_all": True}
    assert judged("grant", grant, LOCAL, **sees) == refused
    assert judged("permissions", listed, DEV, **sees) == refused
    assert judged("grant", grant, DEV, **sees) == unsure, "it may be a group of the account"
    assert judged("permissions", listed, DEV, absent=gone) == unsure
    assert judged("grant", grant, LOCAL, sees_all=True) == []
    assert judged("model_serving", WITH_SECRET, LOCAL, **sees) == [
        "refuse: the secret scope hub: not in the workspace"
    ]
    others = frozenset({("secret", "hub/key")})
    assert judged("model_serving", WITH_SECRET, LOCAL, absent=others, sees_all=True) == [
        "refuse: the secret hub/key: not in the workspace"
    ]
