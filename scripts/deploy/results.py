"""The results of a plan, a deploy or a destroy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scgpt_databricks.infra.guards import Facts, Finding, refusals
from scgpt_databricks.infra.plan import Plan


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 change`` or ``2 changes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class StackPlan:
    """The plan of one stack, and the guards' findings on it."""

    stack: str
    plan: Plan
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PlanResult:
    """The plans of all stacks of one environment."""

    environment: str
    provider: str
    stacks: tuple[StackPlan, ...]
    facts: Facts = field(default_factory=Facts, repr=False)
    """The facts by which the guards judged."""
    of_environment: tuple[Finding, ...] = ()
    """Findings beyond the plans: a lost manifest, waivers that have expired or waive nothing."""
    released: bool = True
    """False where no release manifest says what is served."""

    @property
    def changes(self) -> int:
        """The number of changes in all stacks."""
        return sum(len(stack.plan.changes) for stack in self.stacks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all stacks and of the environment."""
        return (*(f for stack in self.stacks for f in stack.findings), *self.of_environment)

    @property
    def refused(self) -> bool:
        """True where a guard refuses one of the plans."""
        return bool(refusals(self.findings))

    @cached_property
    def digest(self) -> str:
        """sha256 of what would be changed: equal plans, equal digest, on any machine."""
        changes = {stack.stack: normalised(stack.plan) for stack in self.stacks}
        text = json.dumps(changes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def normalised(plan: Plan) -> list[dict[str, Any]]:
    """Return the changes of a plan without what differs between equal plans.

    What stays the same is left out: a workspace stamps times and editors on what nobody changes.
    Values that Terraform calls sensitive are hidden.
    """
    return [
        {
            "address": change.address,
            "type": change.type,
            "actions": change.actions,
            **({"importing": change.importing} if change.importing else {}),
            **change.difference,
        }
        for change in sorted(plan.changes, key=lambda each: each.address)
    ]


@dataclass(frozen=True)
class DeployResult:
    """The result of a deploy or a destroy."""

    plan: PlanResult
    applied: bool
    verified: bool
    seconds: float
