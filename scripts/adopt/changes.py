"""What the first deploy would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.gitops.plan_text import fields


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


def changes(stack: str, plan: Mapping[str, Any]) -> list[Change]:
    """The changes of a plan; what is merely imported is none."""
    found = []
    for entry in plan.get("resource_changes", []):
        change = entry["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        action = "+".join(change["actions"])
        found.append(Change(stack, entry["address"], action, tuple(fields(entry))))
    return found


def held(plan: Mapping[str, Any]) -> set[str]:
    """Addresses that the state has already."""
    module = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    return {resource["address"] for resource in module.get("resources", [])}
