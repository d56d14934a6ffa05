"""OAuth: where clients get tokens, of service principals and for the data plane of an endpoint."""

from __future__ import annotations

import base64
import hmac
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..core.errors import ApiError
from ..core.routing import Call, Routes
from ..core.workspace import Workspace
from . import signing
from .principals import is_service_principal

routes = Routes()

_TOKEN = "/oidc/v1/token"  # noqa: S105 - a path
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class _RefusedError(ApiError):
    """A refusal in OAuth's own form."""

    def response(self) -> Response:
        return JSONResponse({"error": self.code, "error_description": self.message}, self.status)


@routes.add("GET", "/oidc/.well-known/oauth-authorization-server", public=True)
async def places(call: Call) -> dict[str, Any]:
    url = call.workspace.url
    return {"authorization_endpoint": f"{url}/oidc/v1/authorize", "token_endpoint": url + _TOKEN}


@routes.add("POST", _TOKEN, public=True)
async def token(call: Call) -> dict[str, Any]:
    """Issue a token for a client's secret, or in exchange for one of the whole API."""
    form = dict(parse_qsl(call.raw.decode(errors="replace")))
    name = _who(call.workspace, call.request, form)
    details = _details(form.get("authorization_details", ""))
    return {
        "access_token": signing.issue_token(call.workspace, name, details),
        "token_type": "Bearer",
        "expires_in": signing.TOKEN_LIFETIME_S,
    }


def _who(workspace: Workspace, request: Request, form: dict[str, str]) -> str:
    grant = form.get("grant_type")
    if grant == "client_credentials":
        return _client(workspace, request, form)
    if grant == _JWT_BEARER:
        issued = signing.read_token(workspace, form.get("assertion", ""))
        if issued is None or issued.details:
            message = "The assertion is no valid OAuth token of this workspace."
            raise _RefusedError(400, "invalid_grant", message)
        return issued.name
    message = f"grant_type {grant!r}: client_credentials or {_JWT_BEARER}"
    raise _RefusedError(400, "unsupported_grant_type", message)


def _client(workspace: Workspace, request: Request, form: dict[str, str]) -> str:
    """Return the service principal whose secret was sent, in the header or in the form."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    name, secret = form.get("client_id", ""), form.get("client_secret", "")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            name, _, secret = base64.b64decode(sent).decode().partition(":")
    right = signing.client_secret(workspace, name)
    genuine = hmac.compare_digest(secret.encode(), right.encode())
    if not (genuine and is_service_principal(workspace, name)):
        raise _RefusedError(401, "invalid_client", "Client authentication failed")
    return name


def _details(text: str) -> str:
    if not text:
        return ""
    try:
        asked = json.loads(text)
    except ValueError:
        asked = None
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        message = "authorization_details must be a JSON list of objects"
        raise _RefusedError(400, "invalid_authorization_details", message)
    return text
