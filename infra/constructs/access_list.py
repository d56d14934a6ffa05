"""Who may do what with one object of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bindings import Construct, Permissions, PermissionsAccessControl


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
