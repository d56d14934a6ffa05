"""Names in a plan of things that somebody else has made: without them an apply fails half way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..plan import ENDPOINT, Change, Json, block, blocks
from .findings import Finding, Planned, entities

_SECRET = re.compile(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}")
_APPLICATION_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GRANT = "databricks_grant"


class Reference(NamedTuple):
    """One thing that a plan refers to and does not make."""

    kind: str
    """In words, such as ``secret scope``."""
    name: str
    """A secret is named ``<scope>/<key>``."""


def references(change: Change) -> Iterator[Reference]:
    """Yield what a resource refers to, as far as the plan knows it."""
    find = _FOUND.get(change.type)
    if find is not None:
        yield from (each for each in find(change.after) if each.name)


def _principal(name: str) -> Reference:
    """Return who is meant by a name of Unity Catalog, which has one field for all kinds."""
    if "@" in name:
        return Reference("user", name)
    return Reference("service principal" if _APPLICATION_ID.fullmatch(name) else "group", name)


def _of_list(after: Json) -> Iterator[Reference]:
    for entry in blocks(after, "access_control"):
        yield _principal(entry.get("user_name") or "")
        yield Reference("group", entry.get("group_name") or "")
        yield Reference("service principal", entry.get("service_principal_name") or "")


def _of_alert(after: Json) -> Iterator[Reference]:
    yield from _of_warehouse(after)
    notification = (after.get("evaluation") or {}).get("notification") or {}
    for told in blocks(notification, "subscriptions"):
        yield Reference("notification destination", told.get("destination_id") or "")


def _of_warehouse(after: Json) -> Iterator[Reference]:
    yield Reference("warehouse", after.get("warehouse_id") or "")


def _of_endpoint(after: Json) -> Iterator[Reference]:
    for entity in entities(after):
        for value in (entity.get("environment_vars") or {}).values():
            for scope, key in _SECRET.findall(value or ""):
                yield Reference("secret scope", scope)
                yield Reference("secret", f"{scope}/{key}")
    table = block(block(after, "ai_gateway"), "inference_table_config")
    yield Reference("catalog", table.get("catalog_name") or "")


_FOUND: dict[str, Callable[[Json], Iterator[Reference]]] = {
    "databricks_schema": lambda after: iter(
        [Reference("catalog", after.get("catalog_name") or "")]
    ),
    _GRANT: lambda after: iter([_principal(after.get("principal") or "")]),
    "databricks_permissions": _of_list,
    "databricks_alert_v2": _of_alert,
    "databricks_dashboard": _of_warehouse,
    "databricks_query": _of_warehouse,
    ENDPOINT: _of_endpoint,
}


def absent(planned: Planned) -> Iterator[Finding]:
    """Refuse references to nothing; warn where it may be there all the same.

    Whoever is no admin does not see everything, and Unity Catalog knows groups of the account that
    no workspace has.
    """
    found = dict.fromkeys(
        each for each in references(planned.change) if each in planned.facts.absent
    )
    names = ", ".join(
        f"the {kind} {name}"
        for kind, name in found
        # Without its scope, a secret is not told as well.
        if not (kind == "secret" and ("secret scope", name.partition("/")[0]) in found)
    )
    if not names:
        return
    local = planned.settings is not None and planned.settings.is_local
    sure = planned.facts.sees_all and (local or planned.change.type != _GRANT)
    said = "not in the workspace" if sure else "not found in the workspace with your rights"
    yield planned.finds(
        "reference-missing",
        f"{names}: {said}",
        "Make it first, or correct the name.",
        "refuse" if sure else "warn",
    )
