"""The place where an endpoint is asked, and how to find it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import EndpointError, InvalidRequest

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.oauth import Token
    from databricks.sdk.service.serving import DataPlaneInfo, ServingEndpointDetailed

_LOOK_UP_S = 20  # the SDK itself would try for five minutes

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
    models
        URI of the model behind each served entity, by its name; as far as :meth:`of` saw them.
    """

    name: str
    host: str
    headers: Callable[[], Mapping[str, str]]
    address: str = ""
    models: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def given(cls, endpoint: Endpoint | str | None) -> Endpoint:
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
            found = client.serving_endpoints.get(name)
        except (NotFound, PermissionDenied, Unauthenticated):  # its own refusal will say more
            return cls(name, str(client.config.host), client.config.authenticate)
        except (DatabricksError, TimeoutError) as error:
            raise EndpointError("unreachable", f"{client.config.host}: {error}") from error
        models = _models(found)
        plane = found.data_plane_info
        if plane and plane.query_info:
            return replace(_route_optimised(name, client, plane.query_info), models=models)
        return cls(name, str(client.config.host), client.config.authenticate, models=models)

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


def _models(found: ServingEndpointDetailed) -> dict[str, str]:
    served = (found.config and found.config.served_entities) or []
    return {
        str(each.name): f"models:/{each.entity_name}/{each.entity_version}"
        for each in served
        if each.entity_name and each.entity_version
    }


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
