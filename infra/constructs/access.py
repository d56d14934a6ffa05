"""Who may do what: access lists of objects of the workspace, grants on securables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .. import naming
from ..bindings import Construct, Grant, Permissions, PermissionsAccessControl, TerraformResource


def access_list(scope: Construct, id_: str, levels: Mapping[str, str], **object_id: Any) -> None:
    """Declare the whole list of an object; none where there is nobody to name.

    ``object_id`` is the provider's argument for objects of this kind, such as ``job_id``.
    """
    if not levels:
        return
    permissions = Permissions(
        scope,
        id_,
        access_control=[
            PermissionsAccessControl(user_name=who, permission_level=level)
            if "@" in who
            else PermissionsAccessControl(service_principal_name=who, permission_level=level)
            for who, level in sorted(levels.items())
        ],
        **object_id,
    )
    permissions.override_logical_id(id_)


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
    for principal, privileges in sorted(to.items()):
        logical_id = naming.grant_id(on, principal)
        grant = Grant(
            scope,
            logical_id,
            principal=principal,
            privileges=sorted(privileges),
            schema=full_name if on == "schema" else None,
            model=full_name if on == "model" else None,
            volume=full_name if on.endswith("volume") else None,
            depends_on=[of],
        )
        grant.override_logical_id(logical_id)
