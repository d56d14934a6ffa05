"""Say that a person approves a version for an environment."""

from __future__ import annotations

from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.model import registry

from ..connection import connected


def approve(settings: Settings, version: int) -> str:
    """Write the caller's name into the version's tag of approval and return it.

    Raises
    ------
    RegistryError
        There is no such version, or it is not ready.
    """
    with connected(settings) as client:
        who = str(client.current_user.me().user_name)
        found = registry.ready(settings.names.full_model, version)
        registry.tag(found, {registry.approval_tag(settings.environment): who})
    return who
