"""Plan guards: may this Terraform plan be applied?

``check`` is pure: the plan as JSON, the environment's settings and what the workspace says go in,
findings come out. The rules are the provider's traps: changes that it plans and never makes, and
attributes that make it delete what cannot be brought back. Where a guard refuses, it says what to
do instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .settings import Settings

Json = Mapping[str, Any]

_PROVIDER = "databricks/databricks"
_GOVERNED = {
    "databricks_schema": "everything in it",
    "databricks_volume": "the files in it",
    "databricks_registered_model": "all its versions",
    "databricks_model_serving": "the endpoint, which stops answering",
}
_NEVER_UPDATED = ("description", "budget_policy_id", "email_notifications", "rate_limits")
_SHORTEST_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """What a guard has to say about one planned change."""

    code: str
    address: str
    """The resource, as Terraform calls it."""
    message: str
    remedy: str
    severity: Literal["refuse", "warn"] = "refuse"

    def __str__(self) -> str:
        return f"{self.address}: {self.message} ({self.code}). {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the workspace says; None where it was not asked, or has no endpoint."""

    versions: frozenset[int] | None = None
    """Versions of the registered model that are ready to be served."""
    endpoint_ready: bool | None = None
    endpoint_updating: bool | None = None


def check(plan: Json, settings: Settings, facts: Facts) -> list[Finding]:
    """Judge a plan.

    Parameters
    ----------
    plan
        Output of ``terraform show -json <plan file>``, of a deploy (not of a destroy).

    Returns
    -------
    list of Finding
        In the plan's order; empty when there is nothing to say. The plan must not be applied when
        one of them refuses.
    """
    return [
        finding
        for entry in plan.get("resource_changes", [])
        if entry["mode"] == "managed" and entry["change"]["actions"] not in (["no-op"], ["read"])
        for finding in _check_change(entry, settings, facts)
    ]


def _check_change(entry: Json, settings: Settings, facts: Facts) -> Iterator[Finding]:
    yield from _provider(entry)
    if entry["type"] in _GOVERNED and "delete" in entry["change"]["actions"]:
        yield _deletion(entry, settings, facts)
    if entry["type"] == "databricks_model_serving":
        change = entry["change"]
        if change["after"] is not None:
            yield from _served(entry, facts)
            yield from _never_sent(entry)
        if change["actions"] == ["update"]:
            yield from _no_call(entry)
            yield from _gateway(entry)
        if "create" in change["actions"]:
            yield from _timeout(entry)
        if change["actions"] == ["create"] and facts.endpoint_ready is not None:
            yield Finding(
                "exists-already",
                entry["address"],
                "exists in the workspace, but not in Terraform's state (a creation was cut off?)",
                f"Adopt it in the stack's folder: terraform import {entry['address']} "
                f"{change['after']['name']}",
            )


def _provider(entry: Json) -> Iterator[Finding]:
    name = entry.get("provider_name", "")
    if name != _PROVIDER and not name.endswith("/" + _PROVIDER):
        yield Finding(
            "unknown-provider",
            entry["address"],
            f"is planned by the provider {name!r}",
            f"The stacks are written for {_PROVIDER}; remove the resource or the override.",
        )


def _deletion(entry: Json, settings: Settings, facts: Facts) -> Finding:
    """One finding per deleted or replaced resource of the governed types."""
    address, change = entry["address"], entry["change"]
    lost = _GOVERNED[entry["type"]]
    if entry.get("action_reason") == "replace_because_tainted":
        # Left over from a creation that stopped half way.
        empty = (
            facts.endpoint_ready is False
            if entry["type"] == "databricks_model_serving"
            else facts.versions == frozenset()
        )
        return Finding(
            "tainted",
            address,
            f"was created only half way and would be replaced, losing {lost}",
            "Nothing depends on it yet, so it is made anew."
            if empty
            else f"If it is whole, run `terraform untaint {address}` in the stack's folder.",
            "warn" if empty else "refuse",
        )
    if "create" in change["actions"]:
        fields = ", ".join(
            ".".join(str(part) for part in path) for path in change.get("replace_paths", [])
        )
        return Finding(
            "replacement",
            address,
            f"would be deleted and made anew because of {fields or 'its new attributes'}, "
            f"losing {lost}",
            f"Undo the change; where it is meant, run `scgpt destroy {settings.environment}` "
            "with the old settings first.",
        )
    return Finding(
        "deletion",
        address,
        f"would be deleted, losing {lost}",
        f"Put it back; where it is meant, run `scgpt destroy {settings.environment}`.",
    )


def _served(entry: Json, facts: Facts) -> Iterator[Finding]:
    address = entry["address"]
    config = _block(entry["change"]["after"], "config")
    entities = config.get("served_entities") or []
    if not entities or not all(entity.get("name") for entity in entities):
        yield Finding(
            "unnamed-entity",
            address,
            "serves nothing, or an entity without a name",
            "Name every served entity: without one, a new version is sent under the old name.",
        )
    routes = _block(config, "traffic_config").get("routes") or []
    if (total := sum(route["traffic_percentage"] for route in routes)) != 100:
        yield Finding(
            "traffic",
            address,
            f"routes add up to {total} %",
            "Configure a route for every served entity, 100 % in all.",
        )
    if config.get("auto_capture_config"):
        yield Finding(
            "legacy-table",
            address,
            "uses auto_capture_config, which the platform no longer supports",
            "Log payloads through the AI Gateway's inference table.",
        )
    if facts.versions is not None:
        wanted = {int(entity["entity_version"]) for entity in entities}
        if missing := sorted(wanted - facts.versions):
            yield Finding(
                "version-missing",
                address,
                f"version {', '.join(map(str, missing))} of the registered model does not exist "
                "or is not ready",
                "Build it, or let the release manifest name one that exists.",
            )
    if facts.endpoint_updating:
        yield Finding(
            "endpoint-updating",
            address,
            "is being updated by somebody else",
            "Wait until it is NOT_UPDATING, then plan again.",
        )


def _never_sent(entry: Json) -> Iterator[Finding]:
    gateway = _block(entry["change"]["after"], "ai_gateway")
    for name in ("inference_table_config", "usage_tracking_config"):
        block = _block(gateway, name)
        if block and not block.get("enabled"):
            yield Finding(
                "disabled-is-not-sent",
                entry["address"],
                f"ai_gateway.{name} has enabled = false, which the provider never sends",
                "Leave the whole block out to turn it off.",
            )


def _no_call(entry: Json) -> Iterator[Finding]:
    before, after = entry["change"]["before"], entry["change"]["after"]
    for field in _NEVER_UPDATED:
        if (before.get(field) or None) != (after.get(field) or None):
            yield Finding(
                "no-call",
                entry["address"],
                f"{field} would change, which the provider never sends to an endpoint that exists",
                "Change it through the API, or undo it here: Terraform would report success.",
            )


def _gateway(entry: Json) -> Iterator[Finding]:
    address = entry["address"]
    before, after = entry["change"]["before"], entry["change"]["after"]
    if before.get("ai_gateway") and not after.get("ai_gateway"):
        yield Finding(
            "gateway-removed",
            address,
            "ai_gateway would be removed: the provider fails and then believes it was done",
            "Keep the block, and leave out the parts that are to be off.",
        )
        return
    old = _block(_block(before, "ai_gateway"), "inference_table_config")
    new = _block(_block(after, "ai_gateway"), "inference_table_config")
    moved = [
        name
        for name in ("catalog_name", "schema_name", "table_name_prefix")
        if old and new and old[name] != new[name]
    ]
    if moved:
        yield Finding(
            "table-moved",
            address,
            f"{', '.join(moved)} of the inference table would change, which the platform refuses "
            "while it is enabled",
            "Take the prefix out and deploy, then deploy with the new one; the old table stays.",
        )
    if old and not new:
        yield Finding(
            "table-disabled",
            address,
            "requests and answers will no longer be logged",
            "The table that exists stays.",
            "warn",
        )


def _timeout(entry: Json) -> Iterator[Finding]:
    limit = (entry["change"]["after"].get("timeouts") or {}).get("create")
    if limit is not None and _seconds(limit) < _SHORTEST_TIMEOUT_SECONDS:
        yield Finding(
            "short-timeout",
            entry["address"],
            f"create timeout {limit}: the provider stops 10 s before and deletes the endpoint",
            f"Give it {_SHORTEST_TIMEOUT_SECONDS} s or more.",
        )


def _seconds(duration: str) -> float:
    """Seconds of a Go duration such as ``1h30m`` or ``16s``."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", duration)
    return sum(float(number) * units[unit] for number, unit in parts)


def _block(parent: Json, name: str) -> Json:
    """A block that occurs at most once; ``{}`` where it is absent."""
    blocks = parent.get(name) or [{}]
    block: Json = blocks[0] or {}
    return block
