"""The workspace of an environment that has no file yet, and its credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infra import layout
from infra.errors import DeployError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_PATIENCE_SECONDS = 20
"""How long a workspace that does not answer is asked again."""


def connect(
    environment: str, profile: str | None, target: Path
) -> tuple[WorkspaceClient, str | None]:
    """A client for the workspace, and the profile that it took."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    if environment != layout.LOCAL:
        config = Config(profile=profile, retry_timeout_seconds=_PATIENCE_SECONDS)
        return WorkspaceClient(config=config), profile
    profile = profile or "local"
    # An explicit file and profile beside foreign variables would be ambiguous.
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        del os.environ[name]
    config = Config(
        config_file=str(profiles(target)),
        profile=profile,
        retry_timeout_seconds=_PATIENCE_SECONDS,
    )
    return WorkspaceClient(config=config), profile


def profiles(target: Path) -> Path:
    """The local workspace's credentials: of this folder's own instance, or of the usual one."""
    folders = (target, layout.environments_folder(), layout.ENVIRONMENTS)
    candidates = [layout.runtime_folder(folder) / "databrickscfg" for folder in folders]
    config = next((path for path in candidates if path.exists()), None)
    if config is None:
        raise DeployError(
            f"no {candidates[-1]}: start the local workspace with `scgpt workspace start`"
        )
    return config.resolve()


def link_profiles(target: Path) -> None:
    """Let an environment elsewhere find the credentials, without a second copy of them."""
    wanted, config = layout.runtime_folder(target) / "databrickscfg", profiles(target)
    if not wanted.exists():
        wanted.symlink_to(config)
