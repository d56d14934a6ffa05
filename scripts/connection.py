"""Reach an environment's workspace by profile and ``DATABRICKS_*`` variables."""

from __future__ import annotations

import configparser
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.layout import runtime_folder
from scgpt_databricks.infra.settings import Settings

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

T = TypeVar("T")

# mlflow prints links and bars to stdout, which belongs to a command's result; and advertisements.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "_MLFLOW_ENABLE_UC_TRACE_UPSELL": "false",
}


_CONNECT_SECONDS = 10.0
_MOST_SAID = 400  # characters of a client's error: some are whole pages
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OTHER_RUNS = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
_FOREIGN = ("DATABRICKS_", "ARM_", "GOOGLE_CREDENTIALS")


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables with which any client finds the workspace; none holds a secret.

    The address is always given: in clients, that of the shell beats that of a profile. The profile
    is for people; where this machine does not have it, as in a pipeline, who calls is in the
    environment already.
    """
    profile, host = settings.workspace.profile, settings.workspace.host
    if settings.is_local:
        config = runtime_folder(settings.folder) / "databrickscfg"
        found = {"DATABRICKS_CONFIG_FILE": str(config)}
        return {**found, "DATABRICKS_CONFIG_PROFILE": profile} if profile else found
    found = {"DATABRICKS_HOST": str(host)}
    if profile and profile in profiles_in(profiles_file()):
        found["DATABRICKS_CONFIG_PROFILE"] = profile
    return found


def profiles_in(file: Path) -> configparser.ConfigParser:
    """Read the profiles in a Databricks configuration file; none where there is no file."""
    # As clients read it: no profile inherits from [DEFAULT].
    found = configparser.ConfigParser(default_section="", interpolation=None)
    found.read(file)
    return found


def profiles_file() -> Path:
    """Return the Databricks configuration file of whoever runs this."""
    return Path(os.environ.get("DATABRICKS_CONFIG_FILE", "~/.databrickscfg")).expanduser()


def foreign_variables(settings: Settings) -> list[str]:
    """Name the variables of this process that would lead away from the local workspace."""
    if not settings.is_local:
        return []
    ours = variables(settings)
    return sorted(name for name in os.environ if name.startswith(_FOREIGN) and name not in ours)


def require_running(settings: Settings) -> None:
    """Fail at once where the workspace cannot be reached: clients would wait for minutes.

    Raises
    ------
    DeployError
        The local workspace was never started, the login is of another workspace, or the workspace
        does not answer.
    """
    if settings.is_local:
        _require_local(settings)
        return
    require_own_login(settings)
    if settings.workspace.host:
        _require_reachable(settings.workspace.host)


def require_own_login(settings: Settings) -> None:
    """Refuse to send a login to another workspace than its own.

    Raises
    ------
    DeployError
        The profile in use, or the token beside ``DATABRICKS_HOST``, is of another workspace.
    """
    if settings.is_local:
        return
    name, host = settings.environment, str(settings.workspace.host)
    # Without a profile of the file's that this machine has, clients take the shell's.
    own = variables(settings).get("DATABRICKS_CONFIG_PROFILE")
    profile = own or os.environ.get("DATABRICKS_CONFIG_PROFILE")
    if theirs := elsewhere(profile, host):
        whose, way_out = (
            ("its", "correct the profile's host, or name another profile in workspace.profile")
            if own
            else ("the shell's", "set DATABRICKS_CONFIG_PROFILE to one of that workspace")
        )
        raise DeployError(
            f"{name} is on {host}, but {whose} profile {profile!r} in {profiles_file()} is of "
            f"{theirs}: {way_out}"
        )
    shells = os.environ.get("DATABRICKS_HOST")
    if shells and _address(shells) != _address(host) and os.environ.get("DATABRICKS_TOKEN"):
        raise DeployError(
            f"{name} is on {host}, but the shell's DATABRICKS_TOKEN is of its DATABRICKS_HOST, "
            f"{shells}: unset both, or set them for that workspace"
        )


def elsewhere(profile: str | None, host: str) -> str | None:
    """Return the address of a profile, where it is not ``host``."""
    theirs = profiles_in(profiles_file()).get(profile, "host", fallback=None) if profile else None
    return theirs if theirs and _address(theirs) != _address(host) else None


def _address(host: str) -> tuple[str | None, int]:
    """Return name and port, which are equal for all spellings of an address."""
    found = urlsplit(host if "://" in host else f"https://{host}")
    return found.hostname, found.port or 443


def _require_reachable(host: str) -> None:
    proxy = proxy_of(host)
    address = urlsplit(proxy or host)
    name, port = str(address.hostname), address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((name, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        if proxy:
            raise DeployError(
                f"{host} cannot be reached: the proxy {name}:{port} of the shell's variables does "
                f"not answer ({error}). Correct HTTPS_PROXY, or name the host in NO_PROXY"
            ) from error
        raise DeployError(f"{host} cannot be reached from here: {error}") from error


def proxy_of(host: str) -> str | None:
    """Return the address of the proxy that clients ask for a host; it may hold a password."""
    address, proxies = urlsplit(host), getproxies()
    if proxy_bypass(str(address.hostname)):
        return None
    found = proxies.get(address.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"


def spare_loopback() -> None:
    """Let no client of this process and of its children ask a proxy for this machine."""
    if not getproxies().keys() & {"http", "https", "all"}:
        return
    given = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    hosts = dict.fromkeys([*(each.strip() for each in given if each.strip()), *_LOOPBACK])
    if "*" not in hosts:
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


def _require_local(settings: Settings) -> None:
    config = Path(variables(settings)["DATABRICKS_CONFIG_FILE"])
    profile = str(settings.workspace.profile)
    host = profiles_in(config).get(profile, "host", fallback=None)
    if host is None:
        raise DeployError(
            f"{config} has no profile {profile!r}: start the local workspace with "
            "`scgpt workspace start`"
        )
    said = settings.workspace.host
    if said and _address(said) != _address(host):
        raise DeployError(
            f"{settings.environment} is on {said}, but its profile {profile!r} in {config} is of "
            f"{host}: take workspace.host out, the profile has the address"
        )
    address = urlsplit(host)
    try:
        socket.create_connection((str(address.hostname), address.port or 80), timeout=5).close()
    except OSError as error:
        raise DeployError(
            f"the local workspace does not answer at {host}: start it with `scgpt workspace start`"
        ) from error


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Tell in a sentence that a workspace stopped answering.

    Raises
    ------
    DeployError
        In place of what the client raises when it has tried for minutes.
    """
    try:
        yield
    except TimeoutError as error:
        host = settings.workspace.host
        proxy = urlsplit(proxy_of(host) or "") if host else None
        by = f" through the proxy {proxy.hostname}:{proxy.port}" if proxy and proxy.hostname else ""
        raise DeployError(
            f"{host or 'the local workspace'} does not answer{by}: {error}. Run it again, to go "
            "on from here"
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
    for name in _OTHER_RUNS:  # of a notebook or another tool; runs here have their own
        os.environ.pop(name, None)
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")


@contextmanager
def connected(settings: Settings) -> Iterator[WorkspaceClient]:
    """Point this process, mlflow included, to a workspace for the length of a block."""
    before = dict(os.environ)
    try:
        client = workspace_client(settings)
        use_mlflow(settings)
        with answering(settings):
            yield client
    finally:
        os.environ.clear()
        os.environ.update(before)


def workspace_client(settings: Settings) -> WorkspaceClient:
    """Return an unmodified databricks-sdk client that is logged in to the workspace.

    Raises
    ------
    DeployError
        The workspace cannot be reached, or nobody is logged in to it, or it refuses the login.
    """
    from databricks.sdk import WorkspaceClient

    use(settings)
    with answering(settings), logging_in(settings.workspace.host or settings.environment):
        client = WorkspaceClient()
        # OAuth would fetch its first token with the first call, wherever that is.
        client.config.authenticate()
    return client


@contextmanager
def logging_in(where: str) -> Iterator[None]:
    """Tell in a sentence that a login is missing or refused.

    Raises
    ------
    DeployError
        In place of what the client raises.
    """
    from requests import RequestException

    try:
        yield
    except (ValueError, NotImplementedError, RequestException) as error:
        raise DeployError(
            f"no login for {where}: set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or "
            "DATABRICKS_AUTH_TYPE=github-oidc, or a profile. The client says: "
            f"{str(error).splitlines()[0][:_MOST_SAID]}"
        ) from error


def get_or_none(get: Callable[[], T]) -> T | None:
    """Return the answer of a call; None for 404."""
    from databricks.sdk.errors import NotFound

    try:
        return get()
    except NotFound:
        return None
