"""The changes that the first deploy will make."""

from __future__ import annotations

from dataclasses import dataclass

from scgpt_databricks.infra.plan import Change, Plan

from ..gitops.plan_text import fields


@dataclass(frozen=True)
class Remaining:
    """One resource that the first deploy changes."""

    stack: str
    address: str
    action: str
    fields: tuple[str, ...]
    """The fields that change, as `scgpt plan` shows them; empty for a creation."""

    @property
    def adds_only(self) -> bool:
        """True where the deploy only adds a resource, or values where there were none."""
        if self.action != "update":
            return self.action == "create"
        return all(field.startswith(("+ ", "known after")) for field in self.fields)


def changes(stack: str, plan: Plan, *, known: str = "") -> list[Remaining]:
    """Return the changes of a plan; what is merely imported is none.

    The entry of the principal ``known`` is in the permissions, though the plan adds it.
    """
    return [
        Remaining(stack, change.address, "+".join(change.actions), tuple(fields(change)))
        for change in plan.changes
        if change.action != "import" and not (known and _adds_only(change, known))
    ]


def _adds_only(change: Change, principal: str) -> bool:
    """Return True for an update that adds one principal to permissions, and nothing else."""
    if "access_control" not in change.after or change.actions != ("update",):
        return False
    before, after = (
        {tuple(sorted((k, v) for k, v in e.items() if v)) for e in side.get("access_control") or []}
        for side in (change.before, change.after)
    )
    added = after - before
    return before < after and [principal in dict(e).values() for e in added] == [True]
