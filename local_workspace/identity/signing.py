"""Signatures of an instance's own key: URLs that open one file, OAuth tokens, client secrets.

None of them is stored: the key makes them the instance's own. A token is for the whole API or, with
authorization details, for the data plane of one endpoint.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.responses import Response

from ..core.errors import ApiError
from ..core.routing import Call
from ..core.workspace import Workspace

URL_LIFETIME_MS = 15 * 60 * 1000
TOKEN_LIFETIME_S = 3600


class _DeniedError(ApiError):
    """A refusal in the words and the XML of a cloud's object store.

    Clients renew an expired URL only when they see them.
    """

    def __init__(self, message: str) -> None:
        super().__init__(403, "AccessDenied", message)

    def response(self) -> Response:
        text = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        content = f'<?xml version="1.0" encoding="UTF-8"?>{text}'
        return Response(content, self.status, media_type="application/xml")


@dataclass(frozen=True)
class Issued:
    """A valid token.

    Parameters
    ----------
    name
        The principal that it was issued to.
    details
        Its authorization details as they were asked for; empty in a token for the whole API.
    """

    name: str
    details: str


def sign_url(workspace: Workspace, method: str, path: str) -> str:
    """Return a URL of this instance that answers `method` without a token for fifteen minutes.

    Parameters
    ----------
    path
        Decoded path on this server.
    """
    query = {"expires": str(workspace.now_ms() + URL_LIFETIME_MS)}
    signature = _sign_url(workspace, method, path, query)
    return f"{workspace.url}{quote(path)}?{urlencode({**query, 'signature': signature})}"


def signed(call: Call) -> None:
    """Rule: only a URL of :func:`sign_url` that has not expired."""
    workspace, query = call.workspace, call.query
    covered = {key: value for key, value in query.items() if key != "signature"}
    expected = _sign_url(workspace, call.request.method, call.request.scope["path"], covered)
    if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
        raise _DeniedError("Request signature does not match")
    if workspace.now_ms() > int(query["expires"]):
        raise _DeniedError("Request has expired")


def client_secret(workspace: Workspace, name: str) -> str:
    """Return the secret of a service principal, given its application id."""
    return "local-secret-" + _sign(workspace, f"oauth:client secret of {name}")[:32]


def issue_token(workspace: Workspace, name: str, details: str) -> str:
    """Issue a token for an hour."""
    expires = workspace.now_ms() + TOKEN_LIFETIME_S * 1000
    claims = json.dumps({"sub": name, "details": details, "exp": expires})
    body = base64.urlsafe_b64encode(claims.encode()).decode()
    return f"{body}.{_sign(workspace, f'oauth:{body}')}"


def read_token(workspace: Workspace, token: str) -> Issued | None:
    """Read a token; return None for one that is not valid."""
    body, _, signature = token.partition(".")
    expected = _sign(workspace, f"oauth:{body}")
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    claims = json.loads(base64.urlsafe_b64decode(body))
    if workspace.now_ms() > claims["exp"]:
        return None
    return Issued(claims["sub"], claims["details"])


def _sign_url(workspace: Workspace, method: str, path: str, query: Mapping[str, str]) -> str:
    return _sign(workspace, "\n".join([method, path, *(f"{k}={query[k]}" for k in sorted(query))]))


def _sign(workspace: Workspace, text: str) -> str:
    key = bytes.fromhex((workspace.store.get("secrets", "url_signing") or {})["key"])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
