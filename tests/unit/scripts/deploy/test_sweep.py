"""Second copies are removed, and nothing that was there before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient

from scgpt_databricks.infra.guards import Existing, Facts
from scgpt_databricks.infra.plan import Plan
from scgpt_databricks.scripts.deploy.results import StackPlan
from scgpt_databricks.scripts.deploy.sweep import sweep
from scgpt_databricks.scripts.deploy.terraform import Terraform
from tests.unit.infra.plans import plan_of

PLANNED = StackPlan(
    "dev-monitoring", Plan.of(plan_of("job", ["create"], None, {"name": "scgpt-report"}))
)


class Jobs:
    """A workspace with three jobs of one name: one in the state, and two that are not."""

    def __init__(self) -> None:
        self.ids = [7, 8, 9]

    def list(self, name: str) -> list[Any]:
        return [SimpleNamespace(job_id=each) for each in self.ids]

    def delete(self, job_id: int) -> None:
        self.ids.remove(job_id)


class Stack(Terraform):
    def ids(self) -> frozenset[str]:
        return frozenset({"8"})


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        ({}, [8]),
        ({"databricks_job.x": Existing("7", "ann@example.com")}, [7, 8, 9]),
    ],
    ids=["none before", "somebody else's, waived"],
)
def test_only_copies_go(existing: dict[str, Existing], left: list[int], tmp_path: Path) -> None:
    jobs = Jobs()
    client = cast(WorkspaceClient, SimpleNamespace(jobs=jobs))
    stack = Stack(tmp_path, {}, lambda _: None)
    sweep(client, stack, PLANNED, Facts(existing=existing))
    assert jobs.ids == left
