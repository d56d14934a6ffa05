"""Served entities that the platform refuses, and secrets in their variables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..naming import NEW_SECURABLE
from ..plain_secrets import secret_variable
from ..release import MOST_SERVED
from .findings import Finding, Planned, entities

_SECURABLES = ("databricks_schema", "databricks_volume", "databricks_registered_model")


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


def new_name(planned: Planned) -> Iterator[Finding]:
    """Refuse to make what everybody would have to quote; what exists already is taken as it is."""
    name = planned.change.after.get("name")
    exists = planned.change.address in planned.facts.existing
    if planned.change.type not in _SECURABLES or exists or name is None:
        return
    if not re.fullmatch(NEW_SECURABLE, str(name)):
        yield planned.finds(
            "quoted-name",
            f"would be made as {name!r}, which SQL has to quote",
            "Choose a-z first, then up to 62 of a-z, 0-9 and _. Where it exists, import it.",
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
