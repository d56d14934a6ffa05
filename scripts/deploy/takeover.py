"""What an earlier deploy left behind when it was cut off, taken into the state.

A creation that took effect but whose answer was lost is not in Terraform's state: the next one
would be refused, because it exists already. Only what the same deployer made is taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.guards import refusals

from .results import PlanResult, StackPlan, unreviewed

if TYPE_CHECKING:
    from .deployment import Deployment
    from .terraform import Terraform


def take_over(
    deployment: Deployment,
    terraform: Terraform,
    stack: StackPlan,
    planned: PlanResult,
    *,
    reviewed: bool,
    applied: Sequence[str],
) -> StackPlan:
    """Import what is left over in the place of planned creations; the plan to apply instead.

    Parameters
    ----------
    reviewed
        Whether only what ``stack`` holds may be applied.
    applied
        Stacks that this deploy has changed already.

    Raises
    ------
    DeployError
        When a guard refuses the plan for what was taken over, or it holds changes that were not
        reviewed. It is no refusal: the state has changed, and says what else has.
    """
    created = [address for address, action in stack.changes if action == "create"]
    found = {address: left for address in created if (left := planned.facts.left_over(address))}
    if not found:
        return stack
    done = [f"{each}: applied" for each in applied]
    for address, left in found.items():
        if left.broken:
            done.append(f"{terraform.stack}: {address}: never worked, is removed")
            deployment.client.serving_endpoints.delete(left.import_id)
        else:
            done.append(f"{terraform.stack}: {address}: taken over")
            terraform.take(address, left.import_id)
        terraform.report(done[-1])
    again = deployment.plan_again(terraform)
    problems = [str(each) for each in refusals(again.findings)]
    if reviewed:
        problems += [
            f"{address}: {action} was not reviewed in this form"
            for address, action in unreviewed(again.document, stack.document)
        ]
    if problems:
        lines = [
            f"{terraform.stack}: refused after a take-over:",
            *problems,
            "Done before that, and it stays:",
            *done,
            f"Plan again: `scgpt plan {planned.environment}`",
        ]
        raise DeployError("\n  ".join(lines))
    return again
