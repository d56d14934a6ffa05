"""Who may do what: access lists of objects of the workspace, grants on securables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .. import naming
from ..bindings import Construct, Grant, Permissions, TerraformResource, declare


def access_list(
    scope: Construct, logical_id: str, entries: Sequence[Mapping[str, str]], **object_id: Any
) -> None:
    """Declare the whole list of an object; none where there is nobody to name.

    ``object_id`` is the provider's argument for objects of this kind, such as ``job_id``.
    """
    if entries:
        fields = {"access_control": [*entries], **object_id}
        declare(Permissions, scope, logical_id, fields)


def entries(levels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the entries of an access list from principals and their levels."""
    return [{**named(who), "permission_level": level} for who, level in sorted(levels.items())]


def named(who: str) -> dict[str, str]:
    """Return a person or a service principal as the provider names them."""
    return {"user_name" if "@" in who else "service_principal_name": who}


def grant_each(
    scope: Construct,
    *,
    on: Literal["schema", "model", "volume", "checkpoints_volume"],
    of: TerraformResource,
    full_name: str,
    to: Mapping[str, Sequence[str]],
) -> None:
    """Grant privileges on ``of`` one principal at a time, so that foreign grants survive.

    The securable is named, not referred to: a reference is unknown while a plan makes or replaces
    it, and would drag every grant into the replacement.
    """
    kind = "volume" if on.endswith("volume") else on
    for principal, privileges in sorted(to.items()):
        fields = {"principal": principal, "privileges": sorted(privileges), kind: full_name}
        declare(Grant, scope, naming.grant_id(on, principal), fields, after=[of])
