"""Principals that hold less on an object of the workspace than is declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .difference import ABSENT, Difference

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_ENOUGH = {"CAN_MANAGE", "IS_OWNER"}
"""Levels that include every other one."""


def level_differences(
    client: WorkspaceClient, resource: str, path: str, object_id: str, declared: Mapping[str, str]
) -> Iterator[Difference]:
    """Yield a difference for each principal below its level.

    Parameters
    ----------
    path
        Collection of the permissions API, such as ``jobs``.
    declared
        E-mail address or application id -> level.
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
