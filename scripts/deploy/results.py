"""What a plan, a deploy or a destroy found and did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scgpt_databricks.infra.guards import Facts, Finding, refusals

Json = Mapping[str, Any]

_HIDDEN = "(sensitive)"
_NOISE = ("created_at", "created_by", "updated_at", "updated_by", "create_time", "update_time")
_STILL = (["no-op"], ["read"])


@dataclass(frozen=True)
class StackPlan:
    """What Terraform would do to one stack, and what the guards say to it."""

    stack: str
    changes: tuple[tuple[str, str], ...]
    """(address, action) of each change; the actions are joined with ``+``."""
    findings: tuple[Finding, ...] = ()
    document: Json = field(default_factory=dict, repr=False, compare=False)
    """The plan as JSON. It may hold values of environment variables: it is never written down."""


@dataclass(frozen=True)
class PlanResult:
    """The plans of all stacks of one environment."""

    environment: str
    provider: str
    stacks: tuple[StackPlan, ...]
    facts: Facts = field(default_factory=Facts, repr=False)
    """What the guards knew."""
    of_environment: tuple[Finding, ...] = ()
    """What is judged beyond the plans: a lost manifest, waivers that have expired or waive nothing.
    """

    @property
    def changes(self) -> int:
        return sum(len(stack.changes) for stack in self.stacks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*(f for stack in self.stacks for f in stack.findings), *self.of_environment)

    @property
    def refused(self) -> bool:
        """Whether a guard refuses one of the plans."""
        return bool(refusals(self.findings))

    @property
    def documents(self) -> dict[str, Json]:
        """Stack -> its plan as JSON, in memory only."""
        return {stack.stack: stack.document for stack in self.stacks}

    @cached_property
    def digest(self) -> str:
        """sha256 of what would be changed: equal plans, equal digest, on any machine."""
        changes = {stack.stack: normalised(stack.document) for stack in self.stacks}
        text = json.dumps(changes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def changes_of(document: Json) -> tuple[tuple[str, str], ...]:
    """(address, action) of each change in a plan."""
    return tuple(
        (str(entry["address"]), "+".join(entry["change"]["actions"]))
        for entry in document.get("resource_changes", [])
        if entry["change"]["actions"] not in _STILL
    )


def unreviewed(document: Json, reviewed: Json) -> tuple[tuple[str, str], ...]:
    """(address, action) of each change in a plan that another plan does not hold.

    A value that the other did not know yet may be any.
    """
    known = {entry["address"]: entry["change"] for entry in reviewed.get("resource_changes", [])}
    same = {
        entry["address"]
        for entry in document.get("resource_changes", [])
        if _held(entry["change"], known.get(entry["address"]))
    }
    return tuple(each for each in changes_of(document) if each[0] not in same)


def _held(change: Json, reviewed: Json | None) -> bool:
    if reviewed is None or change["actions"] != reviewed["actions"]:
        return False
    before, theirs = (
        {key: value for key, value in (each["before"] or {}).items() if key not in _NOISE}
        for each in (change, reviewed)
    )
    unknown = change.get("after_unknown"), reviewed.get("after_unknown")
    return before == theirs and _within(change["after"], reviewed["after"], *unknown)


def _within(value: Any, reviewed: Any, unknown: Any, unknown_then: Any) -> bool:
    """Whether a value is the reviewed one, or was unknown at the review."""
    if unknown_then is True:
        return True
    if unknown is True:
        return False
    if isinstance(value, dict) and isinstance(reviewed, dict):
        now, then = unknown or {}, unknown_then or {}
        return all(
            _within(value.get(key), reviewed.get(key), now.get(key), then.get(key))
            for key in {*value, *reviewed, *now} - set(_NOISE)
        )
    if isinstance(value, list) and isinstance(reviewed, list) and len(value) == len(reviewed):
        now, then = (each or [None] * len(value) for each in (unknown, unknown_then))
        return all(map(_within, value, reviewed, now, then))
    return bool(value == reviewed)


def normalised(document: Json) -> list[dict[str, Any]]:
    """The changes of a plan without what differs between equal plans.

    What stays the same is left out: a workspace stamps times and editors on what nobody changes.
    Values that Terraform calls sensitive are hidden.
    """
    return [
        {
            "address": entry["address"],
            "type": entry["type"],
            "actions": entry["change"]["actions"],
            **({"importing": importing} if importing else {}),
            **_difference(entry["change"]),
        }
        for entry in sorted(document.get("resource_changes", []), key=lambda e: str(e["address"]))
        if (importing := entry["change"].get("importing"))
        or entry["change"]["actions"] not in _STILL
    ]


def _difference(change: Json) -> dict[str, Any]:
    before = _visible(change.get("before") or {}, change.get("before_sensitive"))
    after = _visible(change.get("after") or {}, change.get("after_sensitive"))
    unknown = {key: value for key, value in (change.get("after_unknown") or {}).items() if value}
    changed = {
        key
        for key in {*before, *after, *unknown} - set(_NOISE)
        if key in unknown or before.get(key) != after.get(key)
    }
    return {
        "before": {key: before[key] for key in changed & before.keys()},
        "after": {key: after[key] for key in changed & after.keys()},
        "after_unknown": {key: unknown[key] for key in changed & unknown.keys()},
    }


def _visible(value: Any, sensitive: Any) -> Any:
    """The value with what Terraform marks as sensitive hidden."""
    if sensitive is True:
        return _HIDDEN
    if isinstance(value, dict) and isinstance(sensitive, dict):
        return {key: _visible(each, sensitive.get(key)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * (len(value) - len(sensitive))]
        return [_visible(each, mark) for each, mark in zip(value, marks, strict=True)]
    return value


@dataclass(frozen=True)
class DeployResult:
    """What a deploy or a destroy did."""

    plan: PlanResult
    applied: bool
    verified: bool
    seconds: float
