"""Two environments never claim the same names on one workspace."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SettingsError
from .environment import Settings


def refuse_shared_names(settings: Settings, others: Iterable[Settings]) -> None:
    """Refuse names that another environment has on the same workspace.

    Each would take the other's resources for its own, and the later deploy would win.

    Raises
    ------
    SettingsError
        Names the other environment and everything that both claim.
    """
    for other in others:
        if other.workspace.host != settings.workspace.host:
            continue
        theirs = _claims(other)
        shared = [
            f"{kind} {name}" for kind, name in _claims(settings).items() if theirs[kind] == name
        ]
        if shared:
            raise SettingsError(
                f"{settings.environment} and {other.environment} are on one workspace "
                f"({settings.workspace.host}) and both claim {' and '.join(shared)}: give each "
                "environment names of its own, or a workspace of its own"
            )


def _claims(settings: Settings) -> dict[str, str]:
    return {"schema": settings.names.full_schema, "endpoint": settings.names.endpoint}
