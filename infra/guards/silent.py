"""Changes that the provider plans, reports as done, and never makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..plan import Json, block
from .findings import Finding, Planned

_FIXED = (
    "Undo it: no API changes it after creation. Where it must change, deploy another endpoint "
    "beside this one, move its callers, and destroy this one."
)
_NEVER_UPDATED = {
    "description": _FIXED,
    "budget_policy_id": _FIXED,
    "email_notifications": "Change it through the API with `scgpt endpoint apply`.",
    "rate_limits": "Use ai_gateway.rate_limits, which it does send.",
}


def never_sent(planned: Planned) -> Iterator[Finding]:
    """Blocks with ``enabled = false``, which is dropped from the request."""
    gateway = block(planned.change.after, "ai_gateway")
    for name in ("inference_table_config", "usage_tracking_config"):
        part = block(gateway, name)
        if part and not part.get("enabled"):
            yield planned.finds(
                "disabled-is-not-sent",
                f"ai_gateway.{name} has enabled = false, which the provider never sends",
                "Leave the whole block out to turn it off.",
            )


def no_call(planned: Planned) -> Iterator[Finding]:
    """Fields of an existing endpoint for which the provider has no update call."""
    for field, remedy in _NEVER_UPDATED.items():
        wanted = meaningful(planned.change.after.get(field))
        if meaningful(planned.change.before.get(field)) == wanted:
            continue
        if planned.endpoint is not None and _there(planned.endpoint.fields, field) == wanted:
            continue  # changed through the API: the apply only writes it down
        yield planned.finds(
            "no-call",
            f"{field} would change, which the provider never sends to an endpoint that exists: "
            "Terraform would report success",
            remedy,
        )


def gateway(planned: Planned) -> Iterator[Finding]:
    """Changes of the AI Gateway that the provider or the platform refuses half way."""
    if planned.change.before.get("ai_gateway") and not planned.change.after.get("ai_gateway"):
        yield planned.finds(
            "gateway-removed",
            "ai_gateway would be removed: the provider fails and then believes it was done",
            "Keep the block, and leave out the parts that are to be off.",
        )
        return
    old = block(block(planned.change.before, "ai_gateway"), "inference_table_config")
    new = block(block(planned.change.after, "ai_gateway"), "inference_table_config")
    moved = [
        name
        for name in ("catalog_name", "schema_name", "table_name_prefix")
        if old and new and old.get(name) != new.get(name)
    ]
    if moved:
        yield planned.finds(
            "table-moved",
            f"{', '.join(moved)} of the inference table would change, which the platform refuses "
            "while it is enabled",
            "Take the prefix out and deploy, then deploy with the new one; the old table stays. "
            "Monitoring and production need a table: for the time between, turn monitoring off "
            "and waive production-without-table. Or give another endpoint the new prefix, in an "
            "environment of its own, and move the callers.",
        )
    if old and not new:
        yield planned.finds(
            "table-disabled",
            "requests and answers will no longer be logged",
            "The table that exists stays.",
            "warn",
        )


def meaningful(value: Any) -> Any:
    """A value without what Terraform fills in for absent parts."""
    if isinstance(value, dict):
        return {key: kept for key, each in value.items() if (kept := meaningful(each))} or None
    if isinstance(value, list):
        return [kept for each in value if (kept := meaningful(each))] or None
    return value or None


def _there(endpoint: Json, field: str) -> Any:
    """The field as the API has it, in the shape that Terraform gives it."""
    value = endpoint.get(field)
    return meaningful([value] if isinstance(value, dict) else value)
