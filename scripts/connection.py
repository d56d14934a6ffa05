"""How scripts reach an environment's workspace: by profile and ``DATABRICKS_*`` variables."""

from __future__ import annotations

import configparser
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.errors import DeployError
from infra.layout import runtime_folder
from infra.settings import Settings

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


# mlflow prints links and bars to stdout, which belongs to a command's result.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


_FOREIGN = ("DATABRICKS_", "ARM_", "GOOGLE_CREDENTIALS")


def variables(settings: Settings) -> dict[str, str]:
    """Variables with which any Databricks client finds the workspace; none holds a secret."""
    found: dict[str, str] = {}
    if settings.is_local:
        config = runtime_folder(settings.folder) / "databrickscfg"
        found["DATABRICKS_CONFIG_FILE"] = str(config)
    if settings.workspace.profile:
        found["DATABRICKS_CONFIG_PROFILE"] = settings.workspace.profile
    elif settings.workspace.host:
        found["DATABRICKS_HOST"] = settings.workspace.host
    return found


def foreign_variables(settings: Settings) -> list[str]:
    """Variables of this process that would lead ``local`` to another workspace."""
    if not settings.is_local:
        return []
    ours = variables(settings)
    return sorted(name for name in os.environ if name.startswith(_FOREIGN) and name not in ours)


def require_running(settings: Settings) -> None:
    """Fail at once where the local workspace does not run: clients would wait for minutes.

    Raises
    ------
    DeployError
        The local workspace was never started, or does not answer.
    """
    if not settings.is_local:
        return
    config = Path(variables(settings)["DATABRICKS_CONFIG_FILE"])
    profiles = configparser.ConfigParser()
    profiles.read(config)
    profile = settings.workspace.profile or "DEFAULT"
    host = profiles.get(profile, "host", fallback=None)
    if host is None:
        raise DeployError(
            f"{config} has no profile {profile!r}: start the local workspace with "
            "`scgpt workspace start`"
        )
    address = urlsplit(host)
    try:
        socket.create_connection((str(address.hostname), address.port or 80), timeout=5).close()
    except OSError as error:
        raise DeployError(
            f"the local workspace does not answer at {host}: start it with `scgpt workspace start`"
        ) from error


def use(settings: Settings) -> None:
    """Point this process to the environment's workspace; see :func:`require_running`."""
    require_running(settings)
    for name in foreign_variables(settings):
        del os.environ[name]
    os.environ.update(variables(settings))


def quiet_mlflow() -> None:
    """Leave stdout to the command's result; to be called before mlflow is imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def use_mlflow(settings: Settings) -> None:
    """Point this process's mlflow to the workspace's tracking and Unity Catalog's registry."""
    quiet_mlflow()
    import mlflow

    use(settings)
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")


def workspace_client(settings: Settings) -> WorkspaceClient:
    """An unmodified databricks-sdk client of the environment's workspace."""
    from databricks.sdk import WorkspaceClient

    use(settings)
    return WorkspaceClient()
