"""Rules of what an endpoint serves, and of how it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..plan import block, part
from ..sizes import TYPES
from .findings import Finding, Planned, Version, entities, not_numbered, served_versions
from .traffic import unknown

_PROVIDERS_OWN_LIMIT = "45m"
_RESERVE_SECONDS = 10
"""The provider stops this long before its create timeout."""
_IMAGE_SECONDS = 90 * 60
"""An image may take an hour to build, and capacity may have to be found."""
_LOCAL_SECONDS = 50
_SHORTEST = {False: "91m", True: "1m"}


def served(planned: Planned) -> Iterator[Finding]:
    """Entities, and what is logged of them."""
    config = block(planned.change.after, "config")
    named = [entity.get("name") for entity in entities(planned.change.after)]
    problem = ""
    if "config.0.served_entities" not in unknown(planned) and not (named and all(named)):
        problem = "serves nothing, or an entity without a name"
    elif lost := _without_name(planned):
        problem = (
            f"serves an entity that its configuration gives no name: {', '.join(lost)} is the "
            "name of before"
        )
    if problem:
        yield planned.finds(
            "unnamed-entity",
            problem,
            "Name every served entity: without one, a new version is sent under the old name.",
        )
    if config.get("auto_capture_config"):
        yield planned.finds(
            "legacy-table",
            "uses auto_capture_config, which the platform no longer supports",
            "Log payloads through the AI Gateway's inference table.",
        )


def _without_name(planned: Planned) -> list[str]:
    """Return the planned names of entities to which the configuration gives none.

    Terraform shows the entities of a dynamic block in the plan alone.
    """
    served = entities(planned.change.after)
    given = part(part(part(planned.change.configured, "config"), 0), "served_entities")
    if not isinstance(given, list) or len(given) != len(served):
        return []
    names = [part(expressions, "name") for expressions in given]
    return [
        str(entity.get("name"))
        for entity, name in zip(served, names, strict=True)
        # Something else than a constant refers to a value.
        if name is None
        or (part(name, "constant_value") in (None, "") and not part(name, "references"))
    ]


def versions(planned: Planned) -> Iterator[Finding]:
    """Refuse versions that the registry lacks, and new ones that no build has validated."""
    wanted = served_versions(planned.change.after)
    facts = planned.facts
    if wrong := not_numbered(planned.change.after):
        yield planned.finds(
            "version-missing",
            f"{'; '.join(wrong)}: versions in Unity Catalog are whole numbers from 1",
            "Give the version's number: an endpoint serves no alias and no stage.",
        )
    if facts.versions is not None and (missing := wanted - facts.versions):
        yield planned.finds(
            "version-missing",
            f"{_listed(missing)} does not exist in Unity Catalog, or is not ready",
            "Build it, or let the release manifest name one that exists.",
        )
    if facts.versions is None or facts.validated is None:
        return
    unvalidated = (wanted & facts.versions) - facts.validated
    served_already = unvalidated & served_versions(planned.change.before)
    if new := unvalidated - served_already:
        yield planned.finds(
            "version-not-validated",
            f"{_listed(new)} lacks the tag validated = true: no build has compared its answers",
            "Register it with `scgpt build`, which validates before it registers.",
        )
    if served_already:
        yield planned.finds(
            "version-not-validated",
            f"{_listed(served_already)} is served already, and lacks the tag validated = true: no "
            "build has compared its answers",
            "This plan does not bring it in. Replace it by one that `scgpt build` has validated.",
            "warn",
        )


def _listed(versions: Iterable[Version]) -> str:
    return ", ".join(f"version {number} of {model}" for model, number in sorted(versions))


def workload_type(planned: Planned) -> Iterator[Finding]:
    """A GPU type that the cloud lacks is refused only after the image was built."""
    if planned.settings is None:
        return
    cloud = planned.settings.cloud
    asked = {str(entity.get("workload_type") or "CPU") for entity in entities(planned.change.after)}
    if lacking := sorted(asked - {*TYPES[cloud]}):
        yield planned.finds(
            "workload-type",
            f"{', '.join(lacking)}: {cloud} has no such workload type",
            f"Choose endpoint.size, or one of {', '.join(TYPES[cloud])}.",
        )


def updating(planned: Planned) -> Iterator[Finding]:
    """Nobody waits for somebody else's update: the provider would send into it."""
    if planned.endpoint is not None and planned.endpoint.updating:
        yield planned.finds(
            "endpoint-updating",
            "is being updated by somebody else",
            "Wait until it is NOT_UPDATING, then plan again.",
        )


def creation(planned: Planned) -> Iterator[Finding]:
    """Refuse a create timeout after which the provider deletes the endpoint."""
    local = planned.settings is not None and planned.settings.is_local
    limit = (planned.change.after.get("timeouts") or {}).get("create") or _PROVIDERS_OWN_LIMIT
    shortest = _LOCAL_SECONDS if local else _IMAGE_SECONDS
    given = seconds(limit)
    if given is None or given - _RESERVE_SECONDS < shortest:
        why = (
            "no duration such as 1h30m"
            if given is None
            else f"{_RESERVE_SECONDS} s before that the provider deletes an endpoint that is not "
            "ready"
        )
        yield planned.finds(
            "short-timeout",
            f"create timeout {limit}: {why}",
            f"Give it {_SHORTEST[local]} or more (endpoint.timeout_minutes).",
        )


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|ns|h|m|s)"


def seconds(duration: str) -> float | None:
    """Seconds of a Go duration such as ``1h30m`` or ``16s``; None where it is none."""
    if not re.fullmatch(f"({_PART})+", duration):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, duration))
