"""Findings of the guards, the facts that they need, and a planned change with both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from ..plan import Change, Json, block, blocks
from ..settings import Settings

CHECKS = {
    "incomplete-plan": "a plan that stopped with an error, or leaves changes out",
    "unknown-provider": "a resource of another provider than databricks/databricks",
    "deletion": "an endpoint, model, schema, volume or experiment would be deleted",
    "replacement": "an endpoint, model, schema, volume or experiment would be deleted and remade",
    "forgotten": "an endpoint, model, schema, volume or experiment would stay, outside Terraform",
    "tainted": "a resource that was created half way would be deleted and remade",
    "manifest-missing": "an endpoint that exists, without a release manifest that declares it",
    "exists-already": "what would be created exists in the workspace, outside the state",
    "reference-missing": "a principal, secret, warehouse, destination or catalog that is not there",
    "no-call": "an edit of an endpoint that the provider plans and never sends",
    "disabled-is-not-sent": "enabled = false, which the provider leaves out of the request",
    "gateway-removed": "ai_gateway would be removed, on which the provider fails",
    "table-moved": "the inference table's catalog, schema or prefix would change",
    "table-disabled": "requests and answers would no longer be logged",
    "legacy-table": "auto_capture_config, which the platform no longer supports",
    "short-timeout": "a create timeout after which the provider deletes the endpoint",
    "route-optimization": "route optimisation would change, which is fixed at creation",
    "traffic": "routes that are not 100 % in all, 0 to 100 % each, one to each served entity",
    "unknown-until-apply": "what a guard would judge, known only at the apply",
    "too-many-entities": "more served entities than an endpoint takes",
    "two-sizes": "a served entity with both workload_size and provisioned concurrency",
    "quoted-name": "a schema, volume or model would be made under a name that SQL has to quote",
    "plain-secret": "a variable of the serving process that looks like a secret",
    "unnamed-entity": "a served entity without a name",
    "version-missing": "a version that the registry does not have, or that is not ready",
    "version-not-validated": "a version that comes new and that no build has validated",
    "version-rolled-back": "requests for a version that was rolled back",
    "workload-type": "a GPU type that the workspace's cloud does not have",
    "endpoint-updating": "the endpoint is being updated by somebody else",
    "production-without-table": "production that logs no requests",
    "production-scale-to-zero": "production whose capacity may be taken away",
    "deploy-by-person": "a deploy outside the local workspace by a person, not a service principal",
    "destroy-production": "production would be destroyed",
    "waiver-expired": "a waiver whose date has passed",
    "waiver-unknown": "a waiver of a check that does not exist",
}
"""Name of each check -> what it finds. The names are what waivers refer to: they never change."""


@dataclass(frozen=True)
class Finding:
    """One thing that a guard has to say about a planned change."""

    check: str
    """One of :data:`CHECKS`."""
    address: str
    """The resource, as Terraform calls it."""
    message: str
    remedy: str
    severity: Literal["refuse", "warn"] = "refuse"
    waived: str | None = None
    """Reason and date of the waiver that made a warning of a refusal."""

    def __str__(self) -> str:
        then = f"Waived: {self.waived}." if self.waived else self.remedy
        return f"{self.address}: {self.message} ({self.check}). {then}"


def today() -> date:
    """Return the day in UTC, by which waivers expire."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Existing:
    """A resource of the workspace under the name of one that would be created."""

    import_id: str
    """As ``terraform import`` takes it."""
    creator: str | None
    """None where the workspace does not say."""
    broken: bool = False
    """An endpoint whose first deployment failed: it has never served anything."""
    anyones: bool = False
    """True where it may be taken over whoever made it."""


Version = tuple[str, int]
"""Full name of a registered model, and one of its versions."""


@dataclass(frozen=True)
class Live:
    """An endpoint of the workspace."""

    ready: bool
    updating: bool
    fields: Json
    """As the API describes it."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Answers of the workspace; None for a question that was not asked."""

    versions: frozenset[Version] | None = None
    """Versions that are ready to be served, of every model that a plan names."""
    validated: frozenset[Version] | None = None
    """Those of them that a build has validated, among the ones that a plan would serve."""
    rolled_back: Mapping[Version, str] = field(default_factory=dict)
    """Those of them that were rolled back, with the reason, among the same."""
    endpoints: Mapping[str, Live] = field(default_factory=dict)
    """Those that exist, of the endpoints that a plan names, by name."""
    existing: Mapping[str, Existing] = field(default_factory=dict)
    """Address in the plan -> what is in the place of something that would be created."""
    absent: frozenset[tuple[str, str]] = frozenset()
    """Kind and name of what the plans refer to and the workspace does not have."""
    sees_all: bool = False
    """The principal that is logged in is an admin: what it does not see is not there."""
    deployer: str | None = None
    """The principal that is logged in."""
    declared: str | None = None
    """The principal that the environment's file names as its deployer: a planner plans for it."""
    today: date = field(default_factory=today)

    def left_over(self, address: str) -> Existing | None:
        """Return what a deploy takes over instead of creating it.

        Mostly an own earlier creation has left it behind.
        """
        found = self.existing.get(address)
        if found is None or found.anyones:
            return found
        own = found.creator is not None and found.creator in (self.deployer, self.declared)
        return found if own else None


@dataclass(frozen=True)
class Planned:
    """One planned change, with all that a guard may look at."""

    change: Change
    settings: Settings | None
    facts: Facts

    @property
    def endpoint(self) -> Live | None:
        """The planned endpoint as it is now; None where it does not exist or was not asked for."""
        values = self.change.before or self.change.after
        return self.facts.endpoints.get(str(values.get("name")))

    def finds(
        self, check: str, message: str, remedy: str, severity: Literal["refuse", "warn"] = "refuse"
    ) -> Finding:
        """Return a finding about this change; ``check`` is one of :data:`CHECKS`."""
        return Finding(check, self.change.address, message, remedy, severity)


_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def served_versions(endpoint: Json) -> set[Version]:
    """Return the versions that an endpoint serves, as far as they are known."""
    named = [
        (str(each.get("entity_name")), str(each.get("entity_version")))
        for each in entities(endpoint)
    ]
    return {(model, int(number)) for model, number in named if _NUMBER.fullmatch(number)}


def not_numbered(endpoint: Json) -> list[str]:
    """Return served models of Unity Catalog whose version is known and no number."""
    return [
        f"{name}, version {number!r}"
        for each in entities(endpoint)
        if (name := str(each.get("entity_name"))).count(".") == 2
        and (number := each.get("entity_version")) is not None
        and not _NUMBER.fullmatch(number)
    ]


def entities(endpoint: Json) -> list[Json]:
    """Return the served entities; ``{}`` stands for one of which nothing is known."""
    return blocks(block(endpoint, "config"), "served_entities")
