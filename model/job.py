"""What a job over a whole data set is told: how many cells at a time, and where answers go."""

from __future__ import annotations

from operator import index
from typing import Any

from model.errors import InvalidRequest


def check_chunk(chunk: Any) -> None:
    """Refuse a number of cells that is no whole number of at least 1 (``invalid_chunk``)."""
    try:
        is_possible = index(chunk) >= 1
    except TypeError:
        is_possible = False
    if not is_possible:
        raise InvalidRequest(
            "invalid_chunk", f"chunk is {chunk!r}; it must be a whole number of at least 1."
        )


def check_key(key: Any) -> None:
    """Refuse a key of obsm that an ``.h5ad`` cannot hold (``invalid_key``)."""
    if not isinstance(key, str) or key in ("", ".") or "/" in key or "\0" in key:
        raise InvalidRequest(
            "invalid_key",
            f"key is {key!r}; the key of obsm must be a name without '/', such as X_scGPT.",
        )
