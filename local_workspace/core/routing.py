"""The route table: the handler of each call, and the rule for its callers.

A module of an API area declares ``routes = Routes()`` and decorates its handlers. The application
(:mod:`.app`) collects the tables; authentication, authorisation, faults and recording happen there,
once, for all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from .errors import ApiError, invalid
from .shapes import checked

if TYPE_CHECKING:
    from .workspace import Principal, Workspace

T = TypeVar("T")

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Call:
    """One authenticated request as a handler sees it."""

    workspace: Workspace
    principal: Principal
    request: Request
    path: dict[str, str]
    raw: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query_params)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent, without nulls; an empty body counts as ``{}``.

        Raises
        ------
        ApiError
            400 when the body is no JSON object, or a field has the wrong form.
        """
        if not self.raw:
            return {}
        try:
            value = json.loads(self.raw)
            json.dumps(value, ensure_ascii=False).encode()  # half of a character is no text
        except (ValueError, RecursionError) as error:
            raise ApiError(400, "MALFORMED_REQUEST", f"Request body is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ApiError(400, "MALFORMED_REQUEST", "Request body must be a JSON object")
        found: dict[str, Any] = checked(value)
        return found

    def need(self, name: str) -> Any:
        """Return a field that the body must carry."""
        value = self.body.get(name)
        if value in (None, ""):
            raise invalid(f"Missing required field: {name}")
        return value


def whole_number(value: object, name: str) -> int:
    """Return a number from a body or a query, where it may be text.

    Raises
    ------
    ApiError
        400 naming the field.
    """
    text = str(value)
    if isinstance(value, bool) or _NUMBER.fullmatch(text) is None:
        raise invalid(f"{name}={text[:50]!r} must be a whole number, 0 or more")
    return int(text)


def page(
    entries: list[T], query: Mapping[str, str], size: int = 1000, limit: str = "max_results"
) -> tuple[list[T], dict[str, str]]:
    """Return one page and the ``next_page_token`` to add to the answer, empty on the last page.

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
    wanted = whole_number(query.get(limit) or 0, limit)
    first = whole_number(query.get("page_token") or 0, "page_token")
    end = first + (wanted or size)
    more = {"next_page_token": str(end)} if end < len(entries) else {}
    return entries[first:end], more


Handler = Callable[[Call], Awaitable[Response | dict[str, Any] | None]]
H = TypeVar("H", bound=Handler)
Rule = Callable[[Call], None]


def authenticated(call: Call) -> None:
    """The weakest rule: any principal with a valid token."""


@dataclass(frozen=True)
class Route:
    """One line of the table.

    ``public`` routes answer without a token (discovery, signed URLs); ``stream`` routes read their
    body themselves.
    """

    method: str
    pattern: str
    handler: Handler
    rule: Rule = authenticated
    public: bool = False
    stream: bool = False


@dataclass
class Routes:
    """The routes of one API area. Patterns use Starlette's form: ``{name}`` and ``{name:path}``."""

    table: list[Route] = field(default_factory=list)

    def add(
        self,
        method: str,
        *patterns: str,
        rule: Rule = authenticated,
        public: bool = False,
        stream: bool = False,
    ) -> Callable[[H], H]:
        def register(handler: H) -> H:
            self.table.extend(
                Route(method, pattern, handler, rule, public, stream) for pattern in patterns
            )
            return handler

        return register
