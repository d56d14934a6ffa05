"""The REST client of the stand-in provider: loopback only, with the retries of the real one."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import platform
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_RETRIED = (429, 503)
_OF_A_URL = "/?&=%+:,@;~"
"""The rest of a path and its query; letters of other scripts in a name are encoded."""
_UNREACHED = (ConnectionRefusedError, ConnectionResetError, TimeoutError)
_LONGEST_WAIT_S = 10
_DEFAULT_LIMIT_S = 20 * 60


class ProviderError(Exception):
    """Something to tell the user of Terraform; the text becomes the diagnostic."""


class ApiError(ProviderError):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class InterruptedByUserError(ProviderError):
    """Terraform asked to stop."""


@dataclass(frozen=True)
class Login:
    """The address, token and patience of a client. The representation leaves the token out."""

    host: str
    token: str = field(repr=False)
    retry_s: float | None = None
    timeout_s: float = 65


def login(config: dict[str, Any]) -> Login:
    """Find host and token: provider block, then environment, then configuration file.

    Parameters
    ----------
    config
        The provider block.

    Raises
    ------
    ProviderError
        Host or token are not to be found, or the host is not loopback, or it gives no token for
        the client id and secret that are in the token's place.
    """
    host = config.get("host") or os.environ.get("DATABRICKS_HOST")
    token = config.get("token") or os.environ.get("DATABRICKS_TOKEN")
    ours = os.environ.get("DATABRICKS_CLIENT_ID"), os.environ.get("DATABRICKS_CLIENT_SECRET")
    if not (host and (token or all(ours))):
        profile = _profile(config)
        host, token = host or profile.get("host"), token or profile.get("token")
        ours = profile.get("client_id", ours[0]), profile.get("client_secret", ours[1])
    if not host or not (token or all(ours)):
        raise ProviderError(
            "no host and token: set DATABRICKS_CONFIG_FILE and DATABRICKS_CONFIG_PROFILE, or "
            "DATABRICKS_HOST and DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and _SECRET"
        )
    where = _loopback(host)
    retry_s = config.get("retry_timeout_seconds")
    timeout_s = config.get("http_timeout_seconds") or 65
    return Login(where, token or _oauth_token(where, *ours), retry_s, timeout_s)


def _oauth_token(host: str, client_id: str | None, secret: str | None) -> str:
    """Get a token for an hour, longer than any run against this machine."""
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    body = urlencode({**form, "client_id": client_id, "client_secret": secret})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection(urlsplit(host).netloc, timeout=_LONGEST_WAIT_S)
    try:
        connection.request("POST", "/oidc/v1/token", body, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise ProviderError(f"no OAuth token from {host}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ProviderError(f"no OAuth token from {host}: {found.get('error_description')}")
    return str(found["access_token"])


def _profile(config: dict[str, Any]) -> dict[str, str]:
    from configparser import ConfigParser  # most runs need it not, and a provider starts often

    named = config.get("config_file") or os.environ.get("DATABRICKS_CONFIG_FILE")
    path = Path(named or "~/.databrickscfg").expanduser()
    profile = config.get("profile") or os.environ.get("DATABRICKS_CONFIG_PROFILE") or "DEFAULT"
    parser = ConfigParser(interpolation=None, default_section="")
    if path.is_file():
        parser.read_string(path.read_text())
    if profile not in parser:
        raise ProviderError(f"no profile {profile!r} in {path}")
    return dict(parser[profile])


def _loopback(host: str) -> str:
    url = urlsplit(host)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ProviderError(f"host {host!r} is no address: http://127.0.0.1:PORT is expected")
    try:
        local = ipaddress.ip_address(url.hostname).is_loopback
    except ValueError:
        local = url.hostname == "localhost"
    if not local:
        raise ProviderError(
            f"host {url.hostname!r} is not on this machine. This is the stand-in for the provider "
            "databricks/databricks: it talks to the local workspace on loopback only. To deploy to "
            "a real workspace let Terraform reach the public registry, or a mirror of it, and run "
            "the set-up again"
        )
    return f"{url.scheme}://{url.netloc}"


class Client:
    """Calls to one workspace.

    Parameters
    ----------
    login
        Address and token.
    stop
        Set when Terraform wants to stop; ends every wait.
    terraform_version
        For the user agent.
    """

    def __init__(self, login: Login, stop: threading.Event, terraform_version: str) -> None:
        self._login, self._stop, self._terraform = login, stop, terraform_version
        self._me: str | None = None

    @property
    def host(self) -> str:
        """Scheme, name and port of the workspace."""
        return self._login.host

    def call(
        self, method: str, path: str, body: Any = None, *, resource: str, deadline: float
    ) -> Any:
        """One request, sent again while the server is busy or not there.

        Parameters
        ----------
        method, path, body
            The request; `body` is sent as JSON.
        resource
            Short name of the resource type, for the user agent.
        deadline
            Monotonic time after which no try is made.

        Returns
        -------
        The decoded answer; ``{}`` for an empty one.

        Raises
        ------
        ApiError
            The server refused, or was busy until the deadline.
        InterruptedByUserError
            While waiting for the next try.
        """
        if self._login.retry_s:
            deadline = min(deadline, time.monotonic() + self._login.retry_s)
        attempt = 0
        while True:
            attempt += 1
            status, message, answer = self._try(method, path, body, resource)
            if status < 400:
                return answer
            pause = _pause(attempt)
            if status not in _RETRIED or time.monotonic() + pause > deadline:
                raise ApiError(status, message.replace(self._login.token, "***"))
            self.wait(pause)

    def wait(self, seconds: float) -> None:
        """Sleep, unless Terraform wants to stop."""
        if self._stop.wait(seconds):
            raise InterruptedByUserError("interrupted")

    def me(self, *, resource: str, deadline: float) -> str:
        """User name, or application id, of the caller; asked once per process."""
        if self._me is None:
            path = "/api/2.0/preview/scim/v2/Me"
            self._me = self.call("GET", path, resource=resource, deadline=deadline)["userName"]
        return self._me

    def _try(self, method: str, path: str, body: Any, resource: str) -> tuple[int, str, Any]:
        """Status, error text, answer. A server that cannot be reached counts as busy."""
        url = urlsplit(self._login.host)
        secure = url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(url.netloc, timeout=self._login.timeout_s)
        try:
            connection.request(
                method,
                quote(path, safe=_OF_A_URL),
                None if body is None else json.dumps(body),
                self._headers(resource),
            )
            response = connection.getresponse()
            return response.status, *_decoded(response)
        except (OSError, http.client.HTTPException) as error:
            # An answer cut off may have taken effect: that one is not tried again.
            cut_off = isinstance(error, http.client.HTTPException)
            status = 503 if isinstance(error, _UNREACHED) and not cut_off else 599
            return status, f"{method} {self._login.host}{path}: {error}", None
        finally:
            connection.close()

    def _headers(self, resource: str) -> dict[str, str]:
        agent = (
            f"databricks-tf-provider-standin/1.99.0 python/{platform.python_version()} "
            f"terraform/{self._terraform} resource/{resource} auth/pat"
        )
        return {
            "Authorization": f"Bearer {self._login.token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": agent,
        }


def _decoded(response: http.client.HTTPResponse) -> tuple[str, Any]:
    content = response.read()
    try:
        answer = json.loads(content or b"{}")
    except ValueError:
        answer = {}
    message = answer.get("message") if isinstance(answer, dict) else None
    return str(message or f"status {response.status} {response.reason}"), answer


@dataclass(frozen=True)
class Session:
    """The client as one operation on one resource sees it.

    Parameters
    ----------
    client
        The provider's client.
    resource
        Short name of the type.
    limit_s
        Time limit of the operation, in seconds, counted from here.
    """

    client: Client
    resource: str
    limit_s: float = _DEFAULT_LIMIT_S
    started: float = field(default_factory=time.monotonic)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        deadline = self.started + self.limit_s
        return self.client.call(method, path, body, resource=self.resource, deadline=deadline)

    def me(self) -> str:
        deadline = self.started + self.limit_s
        return self.client.me(resource=self.resource, deadline=deadline)

    def looks(self, limit_s: float) -> Iterator[None]:
        """Pause between looks at the server, a second longer each time, until `limit_s` is over."""
        for attempt in count(1):
            yield
            pause = _pause(attempt)
            if time.monotonic() + pause > self.started + limit_s:
                return
            self.client.wait(pause)


def _pause(attempt: int) -> float:
    return min(attempt, _LONGEST_WAIT_S) + random.uniform(0.05, 0.75)  # noqa: S311 - no secret
