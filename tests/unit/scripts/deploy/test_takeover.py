"""What is applied after a take-over: with a review, only what was reviewed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scgpt_databricks.infra.errors import DeployError, RefusedError
from scgpt_databricks.infra.guards import Existing, Facts
from scgpt_databricks.scripts.deploy.deployment import Deployment
from scgpt_databricks.scripts.deploy.results import PlanResult, StackPlan, changes_of, unreviewed
from scgpt_databricks.scripts.deploy.takeover import take_over
from scgpt_databricks.scripts.deploy.terraform import Terraform
from tests.unit.infra.plans import plan_of

SCHEMA = plan_of("schema", ["create"], None, {"name": "scgpt", "comment": "new"})
ADDRESS = "databricks_schema.x"


def document(*plans: dict[str, Any]) -> dict[str, Any]:
    return {"resource_changes": [entry for plan in plans for entry in plan["resource_changes"]]}


def grant(unknown: dict[str, Any], **after: Any) -> dict[str, Any]:
    plan = plan_of("grant", ["create"], None, {"principal": "a", **after})
    plan["resource_changes"][0]["change"]["after_unknown"] = unknown
    return plan


REVIEWED = document(SCHEMA, grant({"schema": True, "id": True}))
STILL = plan_of("schema", ["no-op"], {"name": "scgpt"}, {"name": "scgpt"})
CHANGED = plan_of("schema", ["update"], {"comment": "theirs"}, {"comment": "new"})


class Stack(Terraform):
    def take(self, address: str, identifier: str) -> None:
        assert (address, identifier) == (ADDRESS, "dev.scgpt")


def taken(again: dict[str, Any], *, reviewed: bool) -> StackPlan:
    stack = StackPlan("dev-registry", changes_of(REVIEWED), (), REVIEWED)
    known = Facts(existing={ADDRESS: Existing("dev.scgpt", "me")}, deployer="me")
    planned = PlanResult("dev", "real", (stack,), known)
    new = StackPlan("dev-registry", changes_of(again), (), again)
    deployment = cast(Deployment, SimpleNamespace(plan_again=lambda _: new))
    terraform = Stack(Path("dev-registry"), {}, lambda _: None)
    return take_over(
        deployment, terraform, stack, planned, reviewed=reviewed, applied=["dev-first"]
    )


def test_what_is_known_now_may_be_applied() -> None:
    again = document(STILL, grant({"id": True}, schema="dev.scgpt"))
    assert taken(again, reviewed=True).document == again


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (document(CHANGED), "databricks_schema.x: update was not reviewed"),
        (document(STILL, grant({"id": True}, principal="b")), "databricks_grant.x: create was not"),
        (document(plan_of("volume", ["create"], None, {})), "databricks_volume.x: create was not"),
    ],
)
def test_another_change_is_not(again: dict[str, Any], told: str) -> None:
    with pytest.raises(DeployError, match=told) as caught:
        taken(again, reviewed=True)
    assert not isinstance(caught.value, RefusedError), "exit code 3 says that nothing was changed"
    assert caught.value.exit_code == 1
    assert "dev-first: applied" in str(caught.value)
    assert "dev-registry: databricks_schema.x: taken over" in str(caught.value)
    assert taken(again, reviewed=False).document == again


def test_what_was_known_at_the_review_is_known() -> None:
    nested = {"config": [{"entities": [{"name": "m", "version": "1"}]}]}
    other = {"config": [{"entities": [{"name": "m", "version": "2"}]}]}
    plans = [plan_of("model_serving", ["create"], None, each) for each in (nested, other)]
    unknown = {"config": [{"entities": [{}]}], "id": True}
    for plan in plans:
        plan["resource_changes"][0]["change"]["after_unknown"] = unknown
    assert unreviewed(plans[0], plans[0]) == ()
    assert unreviewed(plans[1], plans[0]) == (("databricks_model_serving.x", "create"),)
