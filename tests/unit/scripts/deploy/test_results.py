"""The digest of a plan: equal for what a reviewer would call the same change, and only then."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.results import PlanResult, StackPlan, normalised
from tests.unit.infra import plans
from tests.unit.infra.plans import document

entry = partial(plans.entry, "registered_model")


def digest(*entries: dict[str, Any], **top: Any) -> str:
    plan = Plan.of(document(*entries) | top)
    return PlanResult("dev", "real", (StackPlan("dev-registry", plan),)).digest


UPDATE = entry(
    ["update"],
    {"comment": "a", "updated_at": 5, "owner": "ann"},
    {"comment": "b", "updated_at": 5, "owner": "ann"},
)


def changed(**values: Any) -> dict[str, Any]:
    other = copy.deepcopy(UPDATE)
    other["change"]["after"] |= values
    other["change"]["before"] |= {k: v for k, v in values.items() if k != "comment"}
    return other


def test_equal_plans_have_equal_digests() -> None:
    assert digest(UPDATE, timestamp="1") == digest(copy.deepcopy(UPDATE), timestamp="2")
    mirrored = UPDATE | {"provider_name": "example.test/databricks/databricks"}
    assert digest(UPDATE) == digest(mirrored), "the same provider from a mirror"
    still = entry(["no-op"], {"x": 1}, {"x": 1}) | {"address": "databricks_schema.schema"}
    assert digest(UPDATE) == digest(still, UPDATE) == digest(UPDATE, still)
    assert digest(UPDATE) == digest(changed(updated_at=6)), "somebody touched it meanwhile"


def test_another_change_has_another_digest() -> None:
    found = {
        digest(UPDATE),
        digest(),
        digest(changed(comment="c")),
        digest(entry(["delete", "create"], {"comment": "a"}, {"comment": "b"})),
        digest(entry(["create"], None, {"comment": "b"}, after_unknown={"id": True})),
        digest(entry(["create"], None, {"comment": "b"}, after_unknown={"owner": True})),
    }
    assert len(found) == 6


def test_what_is_edited_besides_belongs_to_it() -> None:
    """Out-of-band changes in a block that the plan changes are part of the review."""
    before, after = {"config": [{"a": 1, "b": 1}]}, {"config": [{"a": 2, "b": 1}]}
    drifted = {"config": [{"a": 1, "b": 9}]}
    assert digest(entry(["update"], before, after)) != digest(entry(["update"], drifted, after))


def test_sensitive_values_are_hidden() -> None:
    secret = entry(
        ["update"],
        {"token": "old-secret", "list": [{"key": "older"}]},
        {"token": "new-secret", "list": [{"key": "newer"}, {"key": "plain"}]},
        before_sensitive={"token": True, "list": [{"key": True}]},
        after_sensitive={"token": True, "list": [{"key": True}]},
    )
    text = json.dumps(normalised(Plan.of(document(secret))))
    assert "secret" not in text
    assert "older" not in text
    assert "newer" not in text
    assert "plain" in text


def test_values_stay_out_of_representations() -> None:
    plan = Plan.of(document(entry(["update"], {"comment": "hunter2"}, {"comment": "hunter3"})))
    result = PlanResult("dev", "real", (StackPlan("dev-serving", plan),))
    assert plan.changes[0].before == {"comment": "hunter2"}
    assert "hunter" not in repr(result) + repr(plan.changes)


def test_an_import_alone_is_a_change() -> None:
    still = entry(["no-op"], {"x": 1}, {"x": 1})
    assert digest(entry(["no-op"], {"x": 1}, {"x": 1}, importing={"id": "a.b.c"})) != digest(still)
