"""Send requests to an endpoint, repeat them, and see that one model answers all. Plain HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import requests

from ..errors import EndpointError, InvalidRequest, find_tag

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.oauth import Token
    from databricks.sdk.service.serving import DataPlaneInfo

TIMEOUT_S = 300  # the platform's own limit is 297 s
ATTEMPTS = 8
BEGINNINGS = 3  # of a data set whose served entity is taken away
RETRIED = (429, 502, 503, 504)
_LOOK_UP_S = 20  # the SDK itself would try for five minutes
_CUT_OFF = (  # before or in the middle of the answer
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)

T = TypeVar("T")

# The address of a route-optimised endpoint has the workspace's id in it, and a host of its own.
_URL = re.compile(r"(https?://[^/]+)(/\d+)?/serving-endpoints/([^/]+)/invocations/?")


@dataclass(frozen=True)
class Endpoint:
    """The place to which requests go.

    Parameters
    ----------
    name
        Name of the serving endpoint.
    host
        ``https://<workspace>``.
    headers
        Called before each request; gives the headers that authenticate it.
    address
        URL of the invocations where it is not the workspace's own: a route-optimised endpoint's.
        :meth:`find` and :meth:`of` look it up.
    """

    name: str
    host: str
    headers: Callable[[], Mapping[str, str]]
    address: str = ""

    @classmethod
    def given(cls, endpoint: Endpoint | str) -> Endpoint:
        """An endpoint as callers give it: itself, or what :meth:`find` takes.

        Raises
        ------
        InvalidRequest
            ``invalid_endpoint``: another type.
        EndpointError
            As :meth:`find`.
        """
        if isinstance(endpoint, cls):
            return endpoint
        if not isinstance(endpoint, str) or not endpoint:
            raise InvalidRequest(
                "invalid_endpoint",
                f"the endpoint is {_kind(endpoint)}; give its name, the URL of its invocations, or "
                "an Endpoint: Endpoint.of(name, WorkspaceClient()).",
            )
        return cls.find(endpoint)

    @classmethod
    def find(cls, name_or_url: str) -> Endpoint:
        """An endpoint by its name, or by the URL of its invocations.

        Host (for a name) and credentials are those that the Databricks SDK finds: a profile,
        ``DATABRICKS_*``, or the notebook's own.

        Raises
        ------
        EndpointError
            ``no_credentials``, ``oauth_only``, ``unreachable``, ``another_workspace``.
        """
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config

        url = _URL.fullmatch(name_or_url)
        in_workspace = url is not None and not url[2]
        try:
            host = url[1] if url and in_workspace else None
            config = Config(host=host, retry_timeout_seconds=_LOOK_UP_S)
            config.authenticate()
        except ValueError as error:
            raise EndpointError(
                "no_credentials",
                f"no credentials for {name_or_url} were found: set DATABRICKS_HOST and "
                "DATABRICKS_TOKEN, or DATABRICKS_CONFIG_PROFILE.",
            ) from error
        found = cls.of(url[3] if url else name_or_url, WorkspaceClient(config=config))
        if url and not in_workspace and found.url != name_or_url.rstrip("/"):
            raise EndpointError(
                "another_workspace",
                f"{name_or_url} is no endpoint of {config.host}, where {found.name} is at "
                f"{found.url}. Log in to its workspace.",
            )
        return found

    @classmethod
    def of(cls, name: str, client: WorkspaceClient) -> Endpoint:
        """An endpoint of a workspace: its document says where it is asked, and with which token.

        Raises
        ------
        EndpointError
            ``oauth_only``: a route-optimised endpoint, and a login by personal access token.
            ``unreachable``: the workspace does not say.
        """
        from databricks.sdk.errors import (
            DatabricksError,
            NotFound,
            PermissionDenied,
            Unauthenticated,
        )

        try:
            plane = client.serving_endpoints.get(name).data_plane_info
        except (NotFound, PermissionDenied, Unauthenticated):  # its own refusal will say more
            plane = None
        except (DatabricksError, TimeoutError) as error:
            raise EndpointError("unreachable", f"{client.config.host}: {error}") from error
        if plane and plane.query_info:
            return _route_optimised(name, client, plane.query_info)
        return cls(name, str(client.config.host), client.config.authenticate)

    @property
    def url(self) -> str:
        """Return the URL of its invocations."""
        return self.address or f"{self._on_host}/invocations"

    def url_of(self, served: str) -> str:
        """Return the URL of one served entity's invocations, which ignores the traffic split."""
        return f"{self._on_host}/served-models/{quote(served, safe='')}/invocations"

    @property
    def _on_host(self) -> str:
        return f"{self.host.rstrip('/')}/serving-endpoints/{self.name}"


def _kind(value: object) -> str:
    return "empty" if value == "" else f"of type {type(value).__name__}"


def _route_optimised(name: str, client: WorkspaceClient, plane: DataPlaneInfo) -> Endpoint:
    """An endpoint that is asked past the workspace, each time with a token for it alone.

    The SDK's own method for such endpoints has no place for a request's ``params``.
    """
    from databricks.sdk.data_plane import DataPlaneTokenSource

    config, url = client.config, str(plane.endpoint_url)
    try:
        config.oauth_token()
    except ValueError as error:
        raise EndpointError(
            "oauth_only",
            f"{name} is route-optimised: such endpoints take OAuth only, and this login is "
            f"{config.auth_type}. Set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of a "
            "service principal that may query it, or log in with `databricks auth login`.",
        ) from error
    tokens = DataPlaneTokenSource(str(config.host), config.oauth_token)

    def headers() -> Mapping[str, str]:
        try:
            token: Token = tokens.token(url, plane.authorization_details)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise EndpointError(
                "refused", f"{config.host} gives no token for {name}: {error}"
            ) from error
        return {"Authorization": f"{token.token_type} {token.access_token}"}

    return Endpoint(name, str(config.host), headers, url)


@dataclass(frozen=True)
class Report:
    """The facts of a conversation.

    Parameters
    ----------
    requests
        Requests that were answered.
    model_digest
        Digest of the model that spoke; one for all answers.
    served
        Served entities that answered, sorted.
    """

    requests: int
    model_digest: str
    served: tuple[str, ...]

    def origin(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what ``uns["scgpt"]`` keeps about the answers of an endpoint."""
        return {
            "endpoint": endpoint.name,
            "model_digest": self.model_digest,
            "served_entities": list(self.served),
        }


def converse(endpoint: Endpoint, work: Callable[[Conversation], T]) -> T:
    """Return the result of `work`, all of whose answers come from one served entity.

    Where that entity is taken away meanwhile, `work` begins again with whatever is served then.

    Raises
    ------
    EndpointError
        ``version_gone``, after the last beginning; and as :meth:`Conversation.ask`.
    """
    for again in reversed(range(BEGINNINGS)):
        with Conversation(endpoint) as conversation:
            try:
                return work(conversation)
            except EndpointError as error:
                if error.code != "version_gone" or not again:
                    raise
    raise AssertionError("the loop returns or raises")


class Conversation:
    """Requests to one endpoint whose answers belong together: one model gives them all.

    The first request goes where the endpoint's traffic split sends it. The others follow to the
    served entity that answered it, whatever the split is, so that a canary never shows up in the
    middle of a data set.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._url = endpoint.url
        self._session = requests.Session()
        self._session.trust_env = not _is_loopback(endpoint.url)  # where no proxy is asked
        self._answered, self._digest, self._served = 0, "", set[str]()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def ask(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The lines of an answer; a busy endpoint is asked again.

        Raises
        ------
        InvalidRequest
            What the model refuses, with the model's own code.
        EndpointError
            No access, no such endpoint, not ready, not reachable, ``foreign_answer`` (of
            something else than this model), ``two_models``, or ``version_gone``.
        """
        answer = self._post(body)
        lines = _lines(self.endpoint, answer)
        self._answered += 1
        served = answer.headers.get("served-model-name")
        self._served.add(served or "unknown")
        if served and not self.endpoint.address:  # entities have no address of their own there
            self._url = self.endpoint.url_of(served)
        for line in lines:
            self._one_model(line["model_digest"])
        return lines

    def go_on(self, origin: Mapping[str, Any]) -> None:
        """Follow the served entity of earlier answers, of which ``Report.origin`` was kept."""
        self._digest, self._served = str(origin["model_digest"]), {*origin["served_entities"]}
        if len(self._served) == 1 and "unknown" not in self._served and not self.endpoint.address:
            self._url = self.endpoint.url_of(*self._served)

    def report(self) -> Report:
        """After the last answer."""
        return Report(self._answered, self._digest, tuple(sorted(self._served)))

    def _one_model(self, digest: str) -> None:
        if self._digest and digest != self._digest:
            raise EndpointError(
                "two_models" if self._answered > 1 else "version_gone",
                f"the endpoint answered with models {self._digest[:12]} and {digest[:12]} in turn; "
                "their embeddings cannot be mixed. Ask one served entity, or wait until the "
                "rollout is over.",
            )
        self._digest = digest

    def _post(self, body: Mapping[str, Any]) -> requests.Response:
        endpoint = self.endpoint
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                answer = self._session.post(
                    self._url, json=body, headers=dict(endpoint.headers()), timeout=TIMEOUT_S
                )
            except _CUT_OFF as error:
                if last:
                    raise EndpointError(
                        "unreachable",
                        f"{_host(endpoint)} cannot be reached ({type(error).__name__}). "
                        f"{_advice_to_reach(endpoint.url)}",
                    ) from None
            except requests.Timeout:
                raise EndpointError(
                    "timed_out",
                    f"{endpoint.name} gave no answer within {TIMEOUT_S} s. Send fewer cells per "
                    "request, or see the endpoint's logs.",
                ) from None
            else:
                if answer.status_code == 200:
                    return answer
                if answer.status_code == 404 and self._url != endpoint.url:
                    raise EndpointError(
                        "version_gone",
                        f"{', '.join(self._served)} is no longer served by {endpoint.name}: a "
                        "rollout took it away while it was being asked. Start again.",
                        404,
                    )
                if last or answer.status_code not in RETRIED:
                    raise _refusal(endpoint, answer)
            time.sleep(min(0.25 * 2**attempt, 10))
        raise AssertionError("the loop returns or raises")


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    return name in ("localhost", "::1") or name.startswith("127.")


def _lines(endpoint: Endpoint, answer: requests.Response) -> list[dict[str, Any]]:
    try:
        lines: list[dict[str, Any]] = answer.json()["predictions"]
        if all("model_digest" in line for line in lines):
            return lines
    except (ValueError, KeyError, TypeError):  # a login page, say, or another model
        pass
    raise EndpointError(
        "foreign_answer",
        f"{endpoint.url} does not answer as this model does, but: {answer.text[:200]!r}. "
        "Check the endpoint's name, and that no proxy answers in its place.",
    )


def _host(endpoint: Endpoint) -> str:
    found = urlsplit(endpoint.url)
    return f"{found.scheme}://{found.netloc}"


def _advice_to_reach(url: str) -> str:
    if _is_loopback(url):
        return "Is the workspace running? (scgpt workspace status)"
    return "Check the host, the network, and the proxy (HTTPS_PROXY, NO_PROXY)."


def _refusal(endpoint: Endpoint, answer: requests.Response) -> Exception:
    """The endpoint's refusal in this package's words."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's page rather than the platform's JSON
        message = answer.text[:300]
    if tagged := find_tag(message):
        return InvalidRequest(*tagged)
    said = f"{endpoint.name} answered {answer.status_code}: {message}"
    advice = {
        401: " Check the profile or DATABRICKS_TOKEN.",
        403: " The caller needs CAN_QUERY on the endpoint.",
        404: " Is the name right, and is the endpoint deployed and ready?",
    }.get(answer.status_code, "")
    return EndpointError("refused", said + advice, answer.status_code)
