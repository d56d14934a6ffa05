"""Sentences on an endpoint's gateway: limits, what is logged, what is let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scgpt_databricks.infra.plan import Json, block, blocks

from .markdown import code, listing
from .plan_text import moved, named

_UNITS = {"calls": "request", "tokens": "token"}


def sentences(before: Json, after: Json, unknown: Any) -> Iterator[str]:
    """Say in Markdown what changes for those who ask; takes the whole endpoint on both sides.

    ``unknown`` marks values of the gateway that are known after the deploy only.
    """
    old, new = block(before, "ai_gateway"), block(after, "ai_gateway")
    limits, table = list(_limits(old, new)), list(_table(old, new))
    yield from [*limits, *table]
    told = {*(["rate_limits"] if limits else []), *(["inference_table_config"] if table else [])}
    others = [
        field
        for field in named(moved(old, new, unknown))
        if before and field.partition(".")[0] not in told
    ]
    if others:
        yield f"The gateway changes: {listing(map(code, others))}."


def _limits(old: Json, new: Json) -> Iterator[str]:
    before, after = _limits_of(old), _limits_of(new)
    for who in sorted(before.keys() | after.keys()):
        if before.get(who) == after.get(who):
            continue
        if who not in after:
            yield f"There is no limit {who} any more (was {before[who]} a minute)."
        else:
            was = f"was {before[who]}" if who in before else "there was none"
            yield f"Limit {who}: {after[who]} a minute ({was})."


def _limits_of(gateway: Json) -> dict[str, str]:
    """For whom -> how much; requests and tokens may have an entry each."""
    found: dict[str, list[str]] = {}
    for limit in blocks(gateway, "rate_limits"):
        amounts = [_amount(limit[key], unit) for key, unit in _UNITS.items() if limit.get(key)]
        # The one of the two that does not count is read back as zero.
        found.setdefault(_whom(limit), []).extend(amounts or ["0 requests"])
    return {who: listing(sorted(amounts)) for who, amounts in found.items()}


def _amount(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _whom(limit: Json) -> str:
    key, principal = limit.get("key"), limit.get("principal")
    if principal:
        return f"for {key} {code(principal)}"
    return {"endpoint": "for all together", "user": "for each user"}.get(
        str(key), f"for each {key}"
    )


def _table(old: Json, new: Json) -> Iterator[str]:
    before, after = _table_of(old), _table_of(new)
    if before == after:
        return
    if after is None:
        yield f"Requests and answers are **no longer logged** (were in {code(before)})."
    else:
        yield f"Requests and answers are logged to {code(after)}."


def _table_of(gateway: Json) -> str | None:
    table = block(gateway, "inference_table_config")
    if not table.get("enabled"):
        return None
    prefix = table.get("table_name_prefix")
    return ".".join(
        str(part or "(known after the deploy)")
        for part in (
            table.get("catalog_name"),
            table.get("schema_name"),
            prefix and f"{prefix}_payload",
        )
    )
