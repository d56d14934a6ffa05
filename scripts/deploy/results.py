"""What a plan, a deploy or a destroy found and did."""

from __future__ import annotations

from dataclasses import dataclass

from infra.guards import Finding


@dataclass(frozen=True)
class StackPlan:
    """What Terraform would do to one stack, and what the guards say to it."""

    stack: str
    changes: tuple[tuple[str, str], ...]
    """(address, action) of each change; the actions are joined with ``+``."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PlanResult:
    """The plans of all stacks of one environment."""

    environment: str
    provider: str
    stacks: tuple[StackPlan, ...]

    @property
    def changes(self) -> int:
        return sum(len(stack.changes) for stack in self.stacks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for stack in self.stacks for finding in stack.findings)

    @property
    def refused(self) -> bool:
        """Whether a guard refuses one of the plans."""
        return any(finding.severity == "refuse" for finding in self.findings)


@dataclass(frozen=True)
class DeployResult:
    """What a deploy or a destroy did."""

    plan: PlanResult
    applied: bool
    verified: bool
    seconds: float
