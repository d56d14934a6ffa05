"""The recorded requests: one JSON line each, as evidence of what clients really sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

BODY_LIMIT = 16_384
"""Characters of a body that are kept."""

FILE_LIMIT = 256 << 20
"""Bytes after which a new file is begun; one old one is kept."""

_SECRET_PARAMETERS = frozenset({"signature", "session_token"})
_TOKENS_PATH = "/oidc/"
_SECRET_PATHS = ("/api/2.0/notification-destinations", "/api/2.0/secrets/")
_SECRET_FIELDS = re.compile(
    r'("(?:url|username|password|oauth_token|channel_id|app_id|auth_secret|channel_url|tenant_id'
    r'|integration_key|string_value)"\s*:\s*)"(?:[^"\\]|\\.)*"'
)


class Recorder:
    """Appends to a file and reads it back.

    Parameters
    ----------
    path
        File of JSON lines.
    secrets
        Gives the texts that must never be written: tokens.
    """

    def __init__(self, path: Path, secrets: Callable[[], list[str]]) -> None:
        self._path, self._secrets = path, secrets

    def add(self, entry: dict[str, Any], query: str, body: bytes) -> None:
        """Write one request.

        Parameters
        ----------
        entry
            The other facts: time, method, path, principal, status.
        query
            Raw query string; signatures are left out.
        body
            Raw body; cut at :data:`BODY_LIMIT`, without secrets and what notification
            destinations keep secret; nothing of one that asks for a token.
        """
        kept = [
            (key, "***" if key in _SECRET_PARAMETERS else value)
            for key, value in parse_qsl(query, keep_blank_values=True)
        ]
        text = body[:BODY_LIMIT].decode(errors="replace")
        if str(entry["path"]).startswith(_TOKENS_PATH):
            text = "***"
        if str(entry["path"]).startswith(_SECRET_PATHS):
            text = _SECRET_FIELDS.sub(r'\1"***"', text)
        line = json.dumps({**entry, "query": urlencode(kept, safe="*/"), "body": text})
        for secret in self._secrets():
            line = line.replace(secret, "***")
        if self._path.exists() and self._path.stat().st_size > FILE_LIMIT:
            self._path.replace(self._path.with_suffix(".old"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read(self, **wanted: str) -> list[dict[str, Any]]:
        """Recorded requests, oldest first.

        Parameters
        ----------
        wanted
            Values that fields must have (``method``, ``principal``, ``status``); ``path`` and
            ``user_agent`` need only contain theirs, ``after`` is a lower bound of ``time_ms``.
        """
        if not self._path.exists():
            return []
        with self._path.open(encoding="utf-8") as file:
            return [entry for line in file if _matches(entry := json.loads(line), wanted)]

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _matches(entry: dict[str, Any], wanted: dict[str, str]) -> bool:
    for field, value in wanted.items():
        if field == "after":
            if entry["time_ms"] <= int(value):
                return False
        elif field in ("path", "user_agent"):
            if value not in entry[field]:
                return False
        elif str(entry.get(field)) != value:
            return False
    return True
