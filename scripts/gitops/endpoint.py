"""What a plan changes for those who ask the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .markdown import code, listing
from .plan_text import Json

_SERVING = "databricks_model_serving"
_MACHINE = (
    "workload_type",
    "workload_size",
    "min_provisioned_concurrency",
    "max_provisioned_concurrency",
)


@dataclass(frozen=True)
class Split:
    """Which versions take which share of the requests."""

    before: dict[int, int]
    """Version -> percent, as it is now; empty where there is no endpoint."""
    after: dict[int, int]


def split(documents: dict[str, Json]) -> Split | None:
    """The versions before and after, where the plan changes them."""
    for document in documents.values():
        for entry in document.get("resource_changes", []):
            if entry["type"] == _SERVING:
                change = entry["change"]
                found = Split(_traffic(change["before"]), _traffic(change["after"]))
                return None if found.before == found.after else found
    return None


def sentences(entry: Json) -> Iterator[str]:
    """What an endpoint's creation or update means, in Markdown."""
    before, after = entry["change"]["before"] or {}, entry["change"]["after"] or {}
    yield from _versions(_traffic(before), _traffic(after))
    yield from _machine(before, after)
    old, new = _gateway(before), _gateway(after)
    yield from _limits(old, new)
    yield from _table(old, new)
    told = {"config", "ai_gateway"}
    others = [f for f in after if before and f not in told and before.get(f) != after[f]]
    if unseen := sorted(set(others) - (entry["change"].get("after_unknown") or {}).keys()):
        yield f"Nothing that a request notices: {listing(code(field) for field in unseen)} change."


def _versions(before: dict[int, int], after: dict[int, int]) -> Iterator[str]:
    if before == after or not after:
        return
    if not before:
        yield f"It answers with {_shares(after)}."
        return
    yield f"Requests are answered by {_shares(after)}, before by {_shares(before)}."
    if after.keys() - before.keys():
        yield "The old ones answer until the new one is ready."


def _shares(traffic: dict[int, int]) -> str:
    taking = {version: share for version, share in traffic.items() if share}
    if len(taking) == 1:
        return f"**version {next(iter(taking))}**"
    return listing(f"**version {version}** ({share} %)" for version, share in taking.items())


def _machine(before: Json, after: Json) -> Iterator[str]:
    old, new = _entity(before), _entity(after)
    moved = [
        f"{old.get(key)} -> {new.get(key)}" for key in _MACHINE if old.get(key) != new.get(key)
    ]
    if not new:
        return
    if not old:
        size = new.get("workload_size") or f"{new.get('max_provisioned_concurrency')} at a time"
        yield f"It runs on {code(new.get('workload_type') or 'CPU')}, size {code(size)}."
    elif moved:
        yield f"The machine changes: {listing(code(change) for change in moved)}."
    idle = "scale_to_zero_enabled"
    if bool(old.get(idle)) != bool(new.get(idle)):
        yield (
            "After half an hour without requests it is switched off; the next request waits for "
            "minutes."
            if new.get(idle)
            else "It stays on without requests, and costs as much."
        )


def _limits(old: Json, new: Json) -> Iterator[str]:
    before, after = _limits_of(old), _limits_of(new)
    for who in sorted(before.keys() | after.keys()):
        if before.get(who) == after.get(who):
            continue
        if who not in after:
            yield f"There is no limit {who} any more (was {before[who]} requests a minute)."
        else:
            was = f"was {before[who]}" if who in before else "there was none"
            yield f"Limit {who}: {after[who]} requests a minute ({was})."


def _limits_of(gateway: Json) -> dict[str, int]:
    return {_whom(limit): limit["calls"] for limit in gateway.get("rate_limits") or []}


def _whom(limit: Json) -> str:
    key, principal = limit["key"], limit.get("principal")
    if principal:
        return f"for {key} {code(principal)}"
    return {"endpoint": "for all together", "user": "for each user"}.get(key, f"for each {key}")


def _table(old: Json, new: Json) -> Iterator[str]:
    before, after = _table_of(old), _table_of(new)
    if before == after:
        return
    if after is None:
        yield f"Requests and answers are **no longer logged** (were in {code(before)})."
    else:
        yield f"Requests and answers are logged to {code(after)}."


def _table_of(gateway: Json) -> str | None:
    table = _first(gateway, "inference_table_config")
    if not table.get("enabled"):
        return None
    names = (table["catalog_name"], table["schema_name"], f"{table['table_name_prefix']}_payload")
    return ".".join(names)


def _traffic(values: Json | None) -> dict[int, int]:
    config = _first(values or {}, "config")
    versions = {
        entity["name"]: int(entity["entity_version"])
        for entity in config.get("served_entities") or []
    }
    shares = {
        route.get("served_entity_name") or route["served_model_name"]: route["traffic_percentage"]
        for route in _first(config, "traffic_config").get("routes") or []
    }
    found = {version: int(shares.get(name, 0)) for name, version in versions.items()}
    return dict(sorted(found.items()))


def _entity(values: Json) -> Json:
    """The first served entity: the versions of one endpoint run on equal machines."""
    return _first(_first(values, "config"), "served_entities")


def _gateway(values: Json) -> Json:
    return _first(values, "ai_gateway")


def _first(parent: Json, name: str) -> Json:
    found: list[dict[str, Any]] = parent.get(name) or [{}]
    return found[0] or {}
