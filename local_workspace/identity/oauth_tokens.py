"""OAuth tokens and client secrets, signed instead of stored: an instance's key makes them its own.

A token is for the whole API, or, with authorization details, for the data plane of one endpoint.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from ..core.workspace import Workspace

LIFETIME_S = 3600


@dataclass(frozen=True)
class Issued:
    """What a token says.

    Parameters
    ----------
    name
        Of the principal that it was issued to.
    details
        Its authorization details as they were asked for; empty in a token for the whole API.
    """

    name: str
    details: str


def client_secret(workspace: Workspace, name: str) -> str:
    """The secret of a service principal, by its application id."""
    return "local-secret-" + _signature(workspace, f"client secret of {name}")[:32]


def issue(workspace: Workspace, name: str, details: str) -> str:
    """A token for an hour."""
    expires = workspace.now_ms() + LIFETIME_S * 1000
    claims = json.dumps({"sub": name, "details": details, "exp": expires})
    body = base64.urlsafe_b64encode(claims.encode()).decode()
    return f"{body}.{_signature(workspace, body)}"


def read(workspace: Workspace, token: str) -> Issued | None:
    """What a valid token says; ``None`` for any other text."""
    body, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(workspace, body).encode()):
        return None
    claims = json.loads(base64.urlsafe_b64decode(body))
    if workspace.now_ms() > claims["exp"]:
        return None
    return Issued(claims["sub"], claims["details"])


def _signature(workspace: Workspace, text: str) -> str:
    key = (workspace.store.get("secrets", "url_signing") or {})["key"]
    return hmac.new(bytes.fromhex(key), f"oauth:{text}".encode(), hashlib.sha256).hexdigest()
