"""Served entities that the platform refuses, and secrets in their variables."""

from __future__ import annotations

from collections.abc import Iterator

from ..plain_secrets import secret_variable
from ..release import MOST_SERVED
from .findings import Finding, Planned, entities


def limits(planned: Planned) -> Iterator[Finding]:
    """Refuse too many entities, and entities with two sizes."""
    served = entities(planned.change.after)
    if len(served) > MOST_SERVED:
        yield planned.finds(
            "too-many-entities",
            f"would serve {len(served)} entities",
            f"An endpoint is documented to serve {MOST_SERVED} at most: give another endpoint the "
            "others.",
        )
    bounds = ("min_provisioned_concurrency", "max_provisioned_concurrency")
    both = [
        str(entity.get("name"))
        for entity in served
        if entity.get("workload_size") and any(map(entity.get, bounds))  # 0 is none
    ]
    if both:
        yield planned.finds(
            "two-sizes",
            f"{', '.join(both)}: workload_size and provisioned concurrency exclude each other",
            "Give one of the two.",
        )


def variables(planned: Planned) -> Iterator[Finding]:
    """Refuse secrets in variables, which are plain text in plan and state; never show a value."""
    secret = [
        f"{name} of {entity.get('name')}"
        for entity in entities(planned.change.after)
        for name, value in (entity.get("environment_vars") or {}).items()
        if value is not None and secret_variable(name, value)
    ]
    if secret:
        yield planned.finds(
            "plain-secret",
            f"{', '.join(secret)}: looks like a secret, and would be plain text in the state",
            "Keep it in a secret scope, and write {{secrets/<scope>/<key>}}.",
        )
