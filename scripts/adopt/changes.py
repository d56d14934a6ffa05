"""What the first deploy would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..gitops.plan_text import fields


@dataclass(frozen=True)
class Change:
    """One resource that the first deploy changes."""

    stack: str
    address: str
    action: str
    fields: tuple[str, ...]
    """What changes, as `scgpt plan` shows it; empty where the resource is made as a whole."""

    @property
    def adds_only(self) -> bool:
        """Whether it only adds: a new resource, or values where there were none."""
        if self.action != "update":
            return self.action == "create"
        return all(field.startswith(("+ ", "known after")) for field in self.fields)


def changes(stack: str, plan: Mapping[str, Any], *, known: str = "") -> list[Change]:
    """The changes of a plan; what is merely imported is none.

    Parameters
    ----------
    known
        Principal whose entry in the permissions is there, though the plan adds it.
    """
    found = []
    for entry in plan.get("resource_changes", []):
        change = entry["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        if known and _adds_only(change, known):
            continue
        action = "+".join(change["actions"])
        found.append(Change(stack, entry["address"], action, tuple(fields(entry))))
    return found


def _adds_only(change: Mapping[str, Any], principal: str) -> bool:
    """Whether nothing but the entry of one principal is added to permissions."""
    before, after = change.get("before") or {}, change.get("after") or {}
    if "access_control" not in after or change["actions"] != ["update"]:
        return False
    entries = [
        {tuple(sorted((k, v) for k, v in e.items() if v)) for e in side.get("access_control") or []}
        for side in (before, after)
    ]
    added = entries[1] - entries[0]
    return entries[0] < entries[1] and [principal in dict(e).values() for e in added] == [True]


def held(plan: Mapping[str, Any]) -> set[str]:
    """Addresses that the state has already."""
    module = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    return {resource["address"] for resource in module.get("resources", [])}
