"""What an earlier deploy left behind when it was cut off, taken into the state.

A creation that took effect but whose answer was lost is not in Terraform's state: the next one
would be refused, because it exists already. Only what the same deployer made is taken over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.errors import RefusedError
from infra.guards import refusals

from .results import PlanResult, StackPlan

if TYPE_CHECKING:
    from .deployment import Deployment
    from .terraform import Terraform


def take_over(
    deployment: Deployment, terraform: Terraform, stack: StackPlan, planned: PlanResult
) -> StackPlan:
    """Import what is left over in the place of planned creations; the plan to apply instead.

    Raises
    ------
    RefusedError
        When a guard refuses the plan for what was taken over.
    """
    created = [address for address, action in stack.changes if action == "create"]
    found = {address: left for address in created if (left := planned.facts.left_over(address))}
    if not found:
        return stack
    for address, left in found.items():
        if left.broken:
            terraform.report(f"{terraform.stack}: {address}: never worked, is removed")
            deployment.client.serving_endpoints.delete(left.import_id)
        else:
            terraform.report(f"{terraform.stack}: {address}: taken over")
            terraform.take(address, left.import_id)
    again = deployment.plan_again(terraform)
    if refused := refusals(again.findings):
        lines = [f"{terraform.stack}: taken over, and nothing else changed:", *map(str, refused)]
        raise RefusedError("\n  ".join(lines))
    return again
