"""Signed URLs: they open one file, for one method, until they expire, without a token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.responses import Response

from ..core.workspace import Workspace

LIFETIME_MS = 15 * 60 * 1000

_EXPIRED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>AccessDenied</Code><Message>{}</Message></Error>"
)


def sign(workspace: Workspace, method: str, path: str, parameters: Mapping[str, str]) -> str:
    """A URL of this instance that answers `method` without a token for fifteen minutes.

    Parameters
    ----------
    path
        Decoded path on this server.
    parameters
        Query parameters that the signature covers.
    """
    query = {**parameters, "expires": str(workspace.now_ms() + LIFETIME_MS)}
    signature = _signature(workspace, method, path, query)
    return f"{workspace.url}{quote(path)}?{urlencode({**query, 'signature': signature})}"


def refusal(
    workspace: Workspace, method: str, path: str, query: Mapping[str, str]
) -> Response | None:
    """What to answer instead when the URL was tampered with or has expired.

    The words and the XML are those of a cloud's object store: clients renew an expired URL only
    when they see them.
    """
    covered = {key: value for key, value in query.items() if key != "signature"}
    expected = _signature(workspace, method, path, covered)
    if not hmac.compare_digest(expected, query.get("signature", "")):
        return _denied("Request signature does not match")
    if workspace.now_ms() > int(query["expires"]):
        return _denied("Request has expired")
    return None


def _denied(reason: str) -> Response:
    return Response(_EXPIRED.format(reason), status_code=403, media_type="application/xml")


def _signature(workspace: Workspace, method: str, path: str, query: Mapping[str, str]) -> str:
    text = "\n".join([method, path, *(f"{key}={query[key]}" for key in sorted(query))])
    return hmac.new(_key(workspace), text.encode(), hashlib.sha256).hexdigest()


def _key(workspace: Workspace) -> bytes:
    return bytes.fromhex((workspace.store.get("secrets", "url_signing") or {})["key"])
