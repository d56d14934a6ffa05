"""Plan guards judge whether a Terraform plan may be applied.

``check`` is pure: it takes the plan, the environment's settings and facts of the workspace, and
returns findings. The rules are the provider's traps: changes that it plans and never makes, and
attributes that make it delete what cannot be brought back. Where a guard refuses, it says what to
do instead. An environment can waive a refusal, with a reason and until a date.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import ENDPOINT, Plan
from ..settings import Settings
from . import limits, losses, production, references, serving, silent, traffic
from .findings import (
    CHECKS,
    Existing,
    Facts,
    Finding,
    Live,
    Planned,
    Version,
    served_versions,
)
from .losses import ungoverned
from .production import deployer, destruction
from .references import Reference
from .waivers import on_waivers, refusals, waive

__all__ = [
    "CHECKS",
    "Existing",
    "Facts",
    "Finding",
    "Live",
    "Reference",
    "Version",
    "check",
    "deployer",
    "destruction",
    "on_waivers",
    "references",
    "refusals",
    "served_versions",
    "skipped",
    "ungoverned",
]

_PROVIDER = "databricks/databricks"
_OF_SETTINGS = (
    "production-without-table",
    "production-scale-to-zero",
    "workload-type",
    "destroy-production",
    "waiver-expired",
    "waiver-unknown",
)
_OF_WORKSPACE = (
    "deploy-by-person",
    "version-missing",
    "version-not-validated",
    "version-rolled-back",
    "manifest-missing",
    "exists-already",
    "reference-missing",
    "endpoint-updating",
)


def check(plan: Plan, settings: Settings | None, facts: Facts) -> list[Finding]:
    """Judge a plan.

    Parameters
    ----------
    plan
        Of a deploy, not of a destroy.
    settings
        The environment; None where it is not known, see :func:`skipped`.

    Returns
    -------
    list of Finding
        In the plan's order; empty when there is nothing to say. The plan must not be applied when
        one of them refuses.
    """
    return [
        *_whole(plan, settings, facts),
        *(
            waive(finding, settings, facts.today)
            for change in plan.resources
            for finding in _judge(Planned(change, settings, facts))
        ),
    ]


def skipped(settings: Settings | None, facts: Facts) -> dict[str, str]:
    """Return the checks that cannot be made with what is known, with the reason."""
    found: dict[str, str] = {}
    if settings is None:
        found |= dict.fromkeys(_OF_SETTINGS, "needs the environment's settings (ENV)")
    if facts.versions is None:
        found |= dict.fromkeys(_OF_WORKSPACE, "needs the workspace (ENV)")
    return found


def _whole(plan: Plan, settings: Settings | None, facts: Facts) -> Iterator[Finding]:
    """Refuse a plan that does not hold all that would be changed."""
    if plan.errored:
        yield Finding(
            "incomplete-plan",
            "plan",
            "stopped with an error: Terraform does not apply it",
            "Repair what `terraform plan` told, and plan again.",
        )
    elif not plan.complete:
        found = Finding(
            "incomplete-plan",
            "plan",
            "leaves changes out, which nobody has judged",
            "Plan without -target; what Terraform defers needs another plan after this one.",
        )
        yield waive(found, settings, facts.today)


def _judge(planned: Planned) -> Iterator[Finding]:
    yield from losses.existing(planned)
    if planned.change.actions == ("no-op",):
        # Production is judged without a change too: the setting `production` itself may be new.
        if planned.change.type == ENDPOINT:
            yield from production.production(planned)
        return
    yield from _provider(planned)
    yield from losses.losses(planned)
    yield from references.absent(planned)
    if planned.change.created:
        yield from limits.new_name(planned)
    if planned.change.type != ENDPOINT:
        return
    if planned.change.after:
        yield from traffic.unjudged(planned)
        yield from serving.served(planned)
        yield from traffic.traffic(planned)
        yield from limits.limits(planned)
        yield from limits.variables(planned)
        yield from serving.versions(planned)
        yield from traffic.rolled_back(planned)
        yield from serving.updating(planned)
        yield from silent.never_sent(planned)
        yield from production.production(planned)
        yield from serving.workload_type(planned)
    if planned.change.actions == ("update",):
        yield from silent.no_call(planned)
        yield from silent.gateway(planned)
    if "create" in planned.change.actions:
        yield from serving.creation(planned)


def _provider(planned: Planned) -> Iterator[Finding]:
    name = planned.change.provider
    if name != _PROVIDER and not name.endswith("/" + _PROVIDER):
        yield planned.finds(
            "unknown-provider",
            f"is planned by the provider {name!r}",
            f"The stacks are written for {_PROVIDER}; remove the resource or the override.",
        )
