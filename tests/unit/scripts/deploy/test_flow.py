"""A deploy says how far it came when the workspace goes half way."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, TemporarilyUnavailable

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.guards import Facts
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.deployment import Deployment
from scgpt_databricks.scripts.deploy.flow import _apply, _compared, _record, _verify
from scgpt_databricks.scripts.deploy.results import PlanResult, StackPlan
from scgpt_databricks.scripts.deploy.terraform import ApplyError, Terraform
from scgpt_databricks.scripts.deploy.verify import Difference
from tests.unit.infra.plans import plan_of

GONE: list[Exception] = [TimeoutError("Timed out after 0:05:00"), TemporarilyUnavailable("busy")]
JOB = Plan.of(plan_of("job", ["create"], None, {"name": "scgpt-serving: error rate"}))
KNOWN = Facts(deployer="an-id", today=date(2026, 11, 21))


class Stopped(Terraform):
    def apply(self) -> None:
        raise ApplyError("the workspace answered 503")


def raising(error: Exception) -> Any:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("gone", GONE, ids=lambda error: type(error).__name__)
def test_what_stopped_the_apply_is_told(gone: DatabricksError) -> None:
    client = cast(WorkspaceClient, SimpleNamespace(jobs=SimpleNamespace(list=raising(gone))))
    stack = StackPlan("dev-monitoring", JOB)
    with pytest.raises(ApplyError, match="the workspace answered 503"):
        _apply(Stopped(Path("dev-monitoring"), {}, lambda _: None), stack, client, KNOWN)
    deployment = cast(Deployment, SimpleNamespace(differences=raising(gone)))
    assert _compared(deployment) == [f"The workspace could not be compared: {gone}"]


@pytest.mark.parametrize("gone", GONE, ids=lambda error: type(error).__name__)
def test_a_deploy_that_cannot_be_recorded_is_done_all_the_same(gone: Exception) -> None:
    lines: list[str] = []
    client = SimpleNamespace(files=SimpleNamespace(upload=raising(gone)))
    deployment = SimpleNamespace(
        client=client, settings=settings.load("dev", layout.ENVIRONMENTS), report=lines.append
    )
    _record(cast(Deployment, deployment), PlanResult("dev", "real", (), KNOWN))
    assert lines == [f"dev: the deploy could not be recorded: {gone}"]


ENDPOINT, JOB_MAILS = (
    Difference(resource, "a field", "declared", "found")
    for resource in ("endpoint scgpt-serving", "job scgpt-serving: daily error rate")
)


@pytest.mark.parametrize(
    ("found", "ways"),
    [
        ([ENDPOINT], ["What a plan does not see, `scgpt endpoint apply dev` sends"]),
        (
            [JOB_MAILS],
            ["What a plan does not see, `scgpt endpoint apply dev` sends"],
        ),
    ],
)
def test_each_difference_has_a_way_out(found: list[Difference], ways: list[str]) -> None:
    deployment = SimpleNamespace(
        settings=settings.load("dev", layout.ENVIRONMENTS),
        manifest=None,
        differences=lambda: found,
        stacks=[],
    )
    with pytest.raises(DeployError) as caught:
        _verify(cast(Deployment, deployment), PlanResult("dev", "real", (), KNOWN))
    first, _, *others = str(caught.value).splitlines()
    assert first == "dev: the plan is empty, but the workspace differs:"
    assert [line.strip() for line in others] == ways
