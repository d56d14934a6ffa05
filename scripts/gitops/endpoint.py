"""The changes of a plan for those who ask the endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scgpt_databricks.infra.plan import ENDPOINT, Change, Json, Plan, block, blocks, part

from . import gateway
from .markdown import code, listing
from .plan_text import moved, named

_MACHINE = (
    "workload_type",
    "workload_size",
    "min_provisioned_concurrency",
    "max_provisioned_concurrency",
)
_IDLE = "scale_to_zero_enabled"
_UNNOTICED = ("budget_policy_id", "description", "email_notifications", "tags")

Version = int | str
"""A version of a registered model. A function, a feature spec or an external model has none; the
name that it is served under takes its place.
"""


@dataclass(frozen=True)
class Split:
    """The share of the requests that each version takes."""

    before: Mapping[Version, int]
    """Version -> percent, as it is now; empty where there is no endpoint."""
    after: Mapping[Version, int]

    @property
    def versions(self) -> list[Version]:
        """All of them, those with a number first."""
        return sorted(self.before.keys() | self.after.keys(), key=_rank)


@dataclass(frozen=True)
class _Pair:
    """A served entity of the plan, and the one in whose place it comes, or beside which."""

    name: str
    before: Json
    after: Json
    fields: list[str]
    """The difference."""
    beside: bool


def split(plans: Iterable[Plan]) -> Split | None:
    """Return the versions before and after, where a plan changes them."""
    for plan in plans:
        for change in plan.resources:
            if change.type == ENDPOINT:
                found = Split(_traffic(change.before), _traffic(change.after))
                return None if found.before == found.after else found
    return None


def sentences(change: Change) -> Iterator[str]:
    """Say in Markdown what an endpoint's creation or update means."""
    before, after, unknown = change.before, change.after, change.unknown
    told = [
        *_config(before, after, part(part(unknown, "config"), 0)),
        *gateway.sentences(before, after, part(part(unknown, "ai_gateway"), 0)),
        *_rest(before, after, unknown),
    ]
    yield from told
    if not told and before:
        yield "The endpoint changes in what only the plan itself shows."


def title(version: Version) -> str:
    """A version as readers know it."""
    return f"version {version}" if isinstance(version, int) else code(version)


def _config(before: Json, after: Json, unknown: Any) -> Iterator[str]:
    versions = list(_versions(_traffic(before), _traffic(after)))
    yield from versions
    pairs = list(_pairs(before, after, unknown))
    yield from _each(pairs)
    if not before:
        return
    told = {*_MACHINE, _IDLE, *(("name", "entity_version") if versions else ())}
    anew = [
        f"{code(field)} of {code(pair.name)}"
        for pair in pairs
        for field in pair.fields
        if field not in told
    ]
    if anew:
        yield f"The endpoint is deployed anew: {_change(anew)}."
    old, new = (_without_entities(values, bool(versions)) for values in (before, after))
    others = named(moved(old, new, unknown))
    if not versions and _names(before) != _names(after):
        others.insert(0, "served_entities")
    if others:
        yield f"How requests are served changes: {listing(map(code, others))}."


def _versions(before: dict[Version, int], after: dict[Version, int]) -> Iterator[str]:
    if before == after or not after:
        return
    if not before:
        yield f"It answers with {_shares(after)}."
        return
    if _taking(before) != _taking(after):
        yield f"Requests are answered by {_shares(after)}, before by {_shares(before)}."
    elif gone := before.keys() - after.keys():
        yield f"No longer ready, but took no requests: {_bold(gone)}."
    if not (new := after.keys() - before.keys()):
        return
    if any(after[version] for version in new):
        yield "The old ones answer until the new one is ready."
    else:
        yield f"Made ready, but takes no requests: {_bold(new)}."


def _taking(traffic: dict[Version, int]) -> dict[Version, int]:
    return {version: share for version, share in traffic.items() if share}


def _bold(versions: set[Version]) -> str:
    return listing(f"**{title(version)}**" for version in sorted(versions, key=_rank))


def _shares(traffic: dict[Version, int]) -> str:
    taking = _taking(traffic)
    if len(taking) <= 1:
        # None of several where the plan does not know the routes yet.
        return _bold(set(taking or traffic))
    return listing(f"**{title(version)}** ({share} %)" for version, share in taking.items())


def _each(pairs: list[_Pair]) -> Iterator[str]:
    """On which machine each entity runs; in one sentence where it is the same of all."""
    told = [(pair.name, set(_machine(pair))) for pair in pairs]
    for sentence in dict.fromkeys(each for pair in pairs for each in _machine(pair)):
        whose = [name for name, said in told if sentence in said]
        of = "" if len(whose) == len(pairs) else f"{listing(map(code, whose))}: "
        yield f"{of}{sentence}"


def _machine(pair: _Pair) -> Iterator[str]:
    old, new = pair.before, pair.after
    changes = [code(f"{old.get(k)} -> {new.get(k)}") for k in _MACHINE if k in pair.fields]
    if not old or (pair.beside and changes):
        size = new.get("workload_size") or f"{new.get('max_provisioned_concurrency')} at a time"
        yield f"It runs on {code(new.get('workload_type') or 'CPU')}, size {code(size)}."
    elif changes:
        yield f"The machine changes: {listing(changes)}."
    if bool(old.get(_IDLE)) != bool(new.get(_IDLE)):
        yield (
            "After half an hour without requests it is switched off; the next request waits for "
            "minutes."
            if new.get(_IDLE)
            else "It stays on without requests, and costs as much."
        )


def _rest(before: Json, after: Json, unknown: Any) -> Iterator[str]:
    """Tell changes that are neither configuration nor gateway."""
    if not before:
        return
    apart = {"config", "ai_gateway", "timeouts"}
    old, new = ({k: v for k, v in each.items() if k not in apart} for each in (before, after))
    fields = sorted({name.partition(".")[0] for name in named(moved(old, new, unknown))})
    if noticed := [code(field) for field in fields if field not in _UNNOTICED]:
        yield f"The endpoint itself changes: {listing(noticed)}."
    if unseen := [code(field) for field in fields if field in _UNNOTICED]:
        yield f"Nothing that a request notices: {_change(unseen)}."


def _traffic(values: Json) -> dict[Version, int]:
    config = block(values, "config")
    routes = blocks(block(config, "traffic_config"), "routes")
    shares: dict[str, int] = {}
    for route in routes:
        to = route.get("served_entity_name") or route.get("served_model_name") or ""
        shares[to] = shares.get(to, 0) + int(route.get("traffic_percentage") or 0)
    found: dict[Version, int] = {}
    for entity in blocks(config, "served_entities"):
        version = _version(entity)
        found[version] = found.get(version, 0) + shares.get(entity.get("name") or "", 0)
    if len(found) == 1 and not routes:
        found = dict.fromkeys(found, 100)
    return dict(sorted(found.items(), key=lambda each: _rank(each[0])))


def _version(entity: Json) -> Version:
    number = str(entity.get("entity_version") or "")
    return int(number) if number.isdecimal() else _name(entity)


def _name(entity: Json) -> str:
    return str(entity.get("name") or entity.get("entity_name") or "known after the deploy")


def _rank(version: Version) -> tuple[bool, int, str]:
    return isinstance(version, str), version if isinstance(version, int) else 0, str(version)


def _pairs(before: Json, after: Json, unknown: Any) -> Iterator[_Pair]:
    """An entity with a new name comes in the place of one that goes, or runs beside the first."""
    old = {_name(entity): entity for entity in _entities(before)}
    names = _names(after)
    going = [entity for name, entity in old.items() if name not in names]
    for index, entity in enumerate(_entities(after)):
        name = _name(entity)
        beside = name not in old and not going
        replaced = going.pop(0) if name not in old and going else next(iter(old.values()), {})
        was = old.get(name, replaced)
        later = part(part(unknown, "served_entities"), index)
        yield _Pair(name, was, entity, named(moved(was, entity, later)), beside)


def _names(values: Json) -> set[str]:
    return {_name(entity) for entity in _entities(values)}


def _entities(values: Json) -> list[Json]:
    return blocks(block(values, "config"), "served_entities")


def _without_entities(values: Json, routes_told: bool) -> Json:
    told = {"served_entities", *(("traffic_config",) if routes_told else ())}
    return {key: value for key, value in block(values, "config").items() if key not in told}


def _change(what: list[str]) -> str:
    one = len(what) == 1 and what != [code("tags")]
    return f"{listing(what)} {'changes' if one else 'change'}"
