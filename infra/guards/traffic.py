"""Rules of an endpoint's routes, and of values that a plan does not know yet."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import Json, block, blocks, leaves
from .findings import Finding, Planned, entities

_JUDGED = {
    "config",
    "served_entities",
    "entity_name",
    "entity_version",
    "environment_vars",
    "workload_size",
    "min_provisioned_concurrency",
    "max_provisioned_concurrency",
    "traffic_config",
    "routes",
    "served_entity_name",
    "served_model_name",
    "traffic_percentage",
}
"""Most other attributes are unknown in every plan: the provider fills them in."""


def traffic(planned: Planned) -> Iterator[Finding]:
    """Routes of 0 to 100 %, 100 % in all, one to each served entity and to nothing else."""
    if any(_touches_traffic(path) for path in unknown(planned)):
        return
    config = block(planned.change.after, "config")
    routes = blocks(block(config, "traffic_config"), "routes")
    if problems := "; ".join(
        [*_percentages(routes), *_targets(routes, entities(planned.change.after))]
    ):
        yield planned.finds(
            "traffic", problems, "Configure a route for every served entity, 100 % in all."
        )


def rolled_back(planned: Planned) -> Iterator[Finding]:
    """Refuse to give requests to a version that was rolled back."""
    after = planned.change.after
    routes = blocks(block(block(after, "config"), "traffic_config"), "routes")
    asked = {_target(route) for route in routes if route.get("traffic_percentage")}
    for (model, number), reason in sorted(planned.facts.rolled_back.items()):
        version = (model, str(number))
        if any(
            (each.get("entity_name"), each.get("entity_version")) == version
            and each.get("name") in asked
            for each in entities(after)
        ):
            yield planned.finds(
                "version-rolled-back",
                f"gives requests to version {number} of {model}, which was rolled back: {reason}",
                "Take it out of the release manifest: `scgpt canary abort ENV` while it is tried, "
                f"else `scgpt rollback ENV`. Or let it serve: `scgpt rollback ENV --to {number}`.",
            )


def unjudged(planned: Planned) -> Iterator[Finding]:
    """Warn of values that guards would judge and that are known only at the apply."""
    if paths := ", ".join(unknown(planned)):
        yield planned.finds(
            "unknown-until-apply",
            f"{paths}: known only at the apply, not judged",
            "Give values that the plan can show, or look at the endpoint after the apply.",
            "warn",
        )


def unknown(planned: Planned) -> list[str]:
    """Return dotted paths of values that guards judge and the plan does not know."""
    return [
        ".".join(map(str, path))
        for path, _ in leaves(None, unknown=planned.change.unknown)
        if path[-1] in _JUDGED or "environment_vars" in path
    ]


def _touches_traffic(path: str) -> bool:
    return path.startswith("config.0.traffic_config") or path in (
        "config",
        "config.0.served_entities",
    )


def _percentages(routes: list[Json]) -> Iterator[str]:
    shares = [(_target(route), route.get("traffic_percentage") or 0) for route in routes]
    if wrong := [f"{target} gets {share} %" for target, share in shares if not 0 <= share <= 100]:
        yield ", ".join(wrong)
    if (total := sum(share for _, share in shares)) != 100:
        yield f"routes add up to {total} %"


def _targets(routes: list[Json], served: list[Json]) -> Iterator[str]:
    names = [entity.get("name") for entity in served]
    if not all(names):  # refused already; what the platform calls them is not known
        return
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        yield f"more than one served entity is called {', '.join(twice)}"
        return
    targets = [_target(route) for route in routes]
    for target in targets:
        if target is None:
            yield "a route names no served entity"
        elif target not in names:
            yield f"a route leads to {target}, which is not served"
    for name in names:
        if targets.count(name) != 1:
            how_many = "more than one route leads" if name in targets else "no route leads"
            yield f"{how_many} to {name}"


def _target(route: Json) -> str | None:
    return route.get("served_entity_name") or route.get("served_model_name")
