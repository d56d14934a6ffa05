"""The workspace of an environment that has no file yet, and its credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.errors import DeployError

from ..connection import elsewhere, logging_in

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_PATIENCE_SECONDS = 20
"""Seconds for which a workspace that does not answer is asked again."""


def connect(
    environment: str, profile: str | None, target: Path
) -> tuple[WorkspaceClient, str | None]:
    """A client that is logged in to the workspace, and the profile that it took.

    Raises
    ------
    DeployError
        When nobody is logged in, the workspace refuses the login or does not answer, or the
        profile is of another workspace than the environment's variables say.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    given: dict[str, Any] = {}
    if environment == layout.LOCAL:
        profile = profile or "local"
        # An explicit file and profile beside foreign variables would be ambiguous.
        for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
            del os.environ[name]
        given = {"config_file": str(profiles(target))}
    _require_own_login(profile)
    where = f"the profile {profile!r}" if profile else "a workspace"
    try:
        with logging_in(where):
            config = Config(profile=profile, retry_timeout_seconds=_PATIENCE_SECONDS, **given)
            config.authenticate()
            return WorkspaceClient(config=config), profile
    except TimeoutError as error:
        raise DeployError(f"{where}: no answer: {error}") from error


def _require_own_login(profile: str | None) -> None:
    """The host of the shell counts before that of a profile, whose login would be sent there."""
    host = os.environ.get("DATABRICKS_HOST")
    used = profile or os.environ.get("DATABRICKS_CONFIG_PROFILE")
    if host and (theirs := elsewhere(used, host)):
        raise DeployError(
            f"the profile {used!r} is of {theirs}, but DATABRICKS_HOST is {host}: unset "
            "DATABRICKS_HOST, or give a profile of that workspace"
        )


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
