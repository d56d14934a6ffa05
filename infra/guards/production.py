"""Rules of production, and the rule that a service principal deploys."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import block
from ..settings import Settings
from .findings import Facts, Finding, Planned, entities
from .waivers import waive


def production(planned: Planned) -> Iterator[Finding]:
    """An endpoint of production logs its requests and keeps its capacity."""
    if planned.settings is None or not planned.settings.production:
        return
    table = block(block(planned.change.after, "ai_gateway"), "inference_table_config")
    if not table.get("enabled"):
        yield planned.finds(
            "production-without-table",
            "serves production without an inference table: no request can be looked at afterwards",
            "Set gateway.inference_table_prefix.",
        )
    if any(entity.get("scale_to_zero_enabled") for entity in entities(planned.change.after)):
        yield planned.finds(
            "production-scale-to-zero",
            "scales production to zero: capacity is not guaranteed to come back, and the first "
            "request waits for minutes",
            "Set endpoint.scale_to_zero = false.",
        )


def deployer(settings: Settings, facts: Facts) -> list[Finding]:
    """Refuse deploys by a person: outside ``local`` a service principal deploys.

    The creator of an endpoint is recorded for good, and each update checks the creator's grants
    again: an endpoint of somebody who has left cannot be updated.
    """
    who = facts.deployer
    if settings.is_local or who is None or "@" not in who:  # principals have an application id
        return []
    found = Finding(
        "deploy-by-person",
        settings.environment,
        f"would be deployed by a person, {who}: the endpoint's creator is recorded for good, and "
        "every update checks the creator's grants",
        "Let the pipeline's service principal deploy it, or log in as one (OAuth client id and "
        "secret, or OIDC).",
    )
    return [waive(found, settings, facts.today)]


def destruction(settings: Settings, facts: Facts) -> list[Finding]:
    """Production is destroyed only by those who have written down why."""
    if not settings.production:
        return []
    found = Finding(
        "destroy-production",
        settings.environment,
        "is production, and would be destroyed with its endpoint, its model and all its versions",
        "Where it is meant, waive this check in the environment's TOML file, with a reason and a "
        "date, in a reviewed change.",
    )
    return [waive(found, settings, facts.today)]
