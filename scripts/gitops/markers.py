"""The first line of what we post: hidden from readers, and how we find it again."""

from __future__ import annotations

import re

_DIGEST = re.compile(r"digest=([0-9a-f]{64}) -->")


def plan_marker(environment: str) -> str:
    """Beginning of the comment with an environment's plan."""
    return f"<!-- scgpt plan of {environment}: "


def plan_line(environment: str, digest: str | None) -> str:
    """First line of that comment; ``None`` where there is no plan that could be applied."""
    return f"{plan_marker(environment)}digest={digest or 'none'} -->"


def digest_in(body: str) -> str | None:
    """The digest of the plan that a comment shows."""
    found = _DIGEST.search(body.splitlines()[0])
    return found[1] if found else None


def drift_marker(environment: str) -> str:
    """First line of the issue about an environment's drift."""
    return f"<!-- scgpt drift of {environment} -->"
