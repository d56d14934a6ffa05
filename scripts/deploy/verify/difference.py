"""One field that is not as declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

ABSENT = "absent"
EXISTS = "exists"

_ENOUGH = {"CAN_MANAGE", "IS_OWNER"}
"""Levels that include every other one."""


@dataclass(frozen=True)
class Difference:
    """A field of a resource: what the environment declares, what the API says."""

    resource: str
    field: str
    declared: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.resource}: {self.field} is {self.found!r}, declared is {self.declared!r}"


def missing(resource: str) -> Difference:
    """Return the difference of a resource that is not there."""
    return Difference(resource, EXISTS, True, False)


def compare(
    resource: str, declared: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare field by field; one that only one side has is ``absent`` on the other."""
    for field in [*declared, *(key for key in found if key not in declared)]:
        wanted, got = declared.get(field, ABSENT), found.get(field, ABSENT)
        if wanted != got:
            yield Difference(resource, field, wanted, got)


def level_differences(
    client: WorkspaceClient, resource: str, path: str, object_id: str, declared: Mapping[str, str]
) -> Iterator[Difference]:
    """Yield a difference for each principal below its declared level on an object.

    ``path`` is a collection of the permissions API, such as ``jobs``.
    """
    if not declared:
        return  # no such list is declared then
    entries = client.permissions.get(path, object_id).access_control_list or []
    for principal, wanted in declared.items():
        has = [
            level.permission_level.value
            for entry in entries
            if principal in (entry.service_principal_name, entry.user_name)
            for level in entry.all_permissions or []
            if level.permission_level
        ]
        if not {wanted, *_ENOUGH} & {*has}:
            listed = ", ".join(has) or ABSENT
            yield Difference(resource, f"permission of {principal}", wanted, listed)
