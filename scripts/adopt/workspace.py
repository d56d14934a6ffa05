"""The workspace of an environment that has no file yet, and the login to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgpt_databricks.infra import layout
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.settings import is_loopback

from ..connection import elsewhere, logging_in, profiles_file, profiles_in

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_PATIENCE_SECONDS = 20
"""Seconds for which a workspace that does not answer is asked again."""


@dataclass(frozen=True)
class Login:
    """A client that is logged in, and what the environment's file says of that."""

    client: WorkspaceClient
    profile: str | None
    local_profiles: Path | None = None
    """The configuration file with the profile, where the workspace is a local one."""

    def link(self, target: Path) -> None:
        """Let environments of `target` find a local login, without a second copy of it."""
        wanted = layout.runtime_folder(target) / "databrickscfg"
        if self.local_profiles and not wanted.exists():
            wanted.symlink_to(self.local_profiles)


def connect(environment: str, profile: str | None, target: Path) -> Login:
    """Log in to the workspace of a profile, or of the shell.

    Profiles of the local workspace are found where `scgpt workspace start` writes them.

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
        profile = profile or layout.LOCAL
    if profile and (file := _local_file(environment, profile, target)):
        # An explicit file and profile beside foreign variables would be ambiguous.
        for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
            del os.environ[name]
        given = {"config_file": str(file)}
    _require_own_login(profile)
    where = f"the profile {profile!r}" if profile else "a workspace"
    try:
        with logging_in(where):
            config = Config(profile=profile, retry_timeout_seconds=_PATIENCE_SECONDS, **given)
            config.authenticate()
            client = WorkspaceClient(config=config)
    except TimeoutError as error:
        raise DeployError(f"{where}: no answer: {error}") from error
    if not is_loopback(str(config.host)):
        return Login(client, profile)
    if not (profile := profile or config.profile):
        raise DeployError(
            f"{config.host} is a local workspace, whose logins are profiles: give --profile local"
        )
    return Login(client, profile, Path(given.get("config_file") or profiles_file()).resolve())


def _local_file(environment: str, profile: str, target: Path) -> Path | None:
    """Return the local workspace's configuration file, where the profile is meant to be its own.

    That is the one of this folder's own instance, else of the usual one.
    """
    if environment != layout.LOCAL and profile in profiles_in(profiles_file()):
        return None
    folders = (target, layout.environments_folder(), layout.ENVIRONMENTS)
    candidates = [layout.runtime_folder(folder) / "databrickscfg" for folder in folders]
    file = next((path for path in candidates if profile in profiles_in(path)), None)
    if file is None and environment == layout.LOCAL:
        raise DeployError(
            f"no profile {profile!r} in {candidates[1]}: start the local workspace with "
            "`scgpt workspace start`"
        )
    return file


def _require_own_login(profile: str | None) -> None:
    """The host of the shell counts before that of a profile, whose login would be sent there."""
    host = os.environ.get("DATABRICKS_HOST")
    used = profile or os.environ.get("DATABRICKS_CONFIG_PROFILE")
    if host and (theirs := elsewhere(used, host)):
        raise DeployError(
            f"the profile {used!r} is of {theirs}, but DATABRICKS_HOST is {host}: unset "
            "DATABRICKS_HOST, or give a profile of that workspace"
        )
