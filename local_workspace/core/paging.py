"""Pages of a list, as Databricks list calls cut them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from .errors import invalid

T = TypeVar("T")


def page(
    entries: list[T], query: Mapping[str, str], size: int = 1000, limit: str = "max_results"
) -> tuple[list[T], dict[str, str]]:
    """One page and the ``next_page_token`` to add to the answer, empty on the last page.

    Parameters
    ----------
    entries
        The whole list, in a stable order.
    query
        Parameters of the request: `limit` and ``page_token``.
    size
        Entries of a page when the request names no positive number.

    Raises
    ------
    ApiError
        400 for a limit or token that is no number.
    """
    wanted, start = query.get(limit) or "0", query.get("page_token") or "0"
    if not wanted.isdecimal() or not start.isdecimal():
        raise invalid(f"{limit}={wanted!r}, page_token={start!r}: both must be whole numbers")
    first, end = int(start), int(start) + (int(wanted) or size)
    more = {"next_page_token": str(end)} if end < len(entries) else {}
    return entries[first:end], more
