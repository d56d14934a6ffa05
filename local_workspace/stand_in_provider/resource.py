"""The base of all resource types, and requests that several of them make."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar

from .mapping import refreshed
from .plan import Plan, plan
from .rest import ApiError, ProviderError, Session
from .schema import Block
from .values import Values, conform


class UndoneError(ProviderError):
    """A create that failed: the state remembers nothing, even if taking it back failed too."""


class Resource(ABC):
    """One resource type."""

    name: str
    """Type name without ``databricks_``."""
    table: Block
    """Its schema."""
    collection: ClassVar[str]
    """Path below which one object has its id; for types that the defaults below serve."""
    # Built with the older SDK: Terraform is told to be lenient about plans. A type of the newer
    # framework says False and brings its own `plan`.
    legacy: ClassVar[bool] = True
    # Version of the schema, which a state names; the real provider reads ours and we read its.
    version: ClassVar[int] = 0
    default_limit_s: ClassVar[float] = 20 * 60.0

    def plan(self, config: Values, prior: Values | None) -> Plan:
        return plan(self.table, config, prior)

    def validate(self, config: Values) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuse what the stand-in cannot do.

        Raises
        ------
        ProviderError
            With what to do instead.
        """

    @abstractmethod
    def create(self, session: Session, planned: Values) -> str:
        """Make it and return its id."""

    def settle(self, session: Session, planned: Values) -> None:  # noqa: B027 - most are done
        """Finish a create once the id is known; a failure leaves a tainted resource."""

    def read(self, session: Session, state: Values, *, fresh: bool = False) -> Values | None:
        """Return the state after refresh, or None when it is gone."""
        answer = self.answer(session, state)
        return None if answer is None else refreshed(self.table, answer, state, fresh=fresh)

    def answer(self, session: Session, state: Values) -> Any:
        """Return the object in the table's shape, or None when it is gone."""
        return found(session, f"{self.collection}/{state['id']}")

    @abstractmethod
    def update(self, session: Session, prior: Values, planned: Values) -> Values:
        """Change it and return the state to read into."""

    def delete(self, session: Session, prior: Values) -> None:
        """Remove it; that it is gone already is no error."""
        remove(session, "DELETE", f"{self.collection}/{prior['id']}")

    def imported(self, identifier: str) -> Values:
        """Return the state from which an import reads."""
        return conform(self.table, {"id": identifier})

    def limit_s(self, operation: str, values: Values) -> float:
        """Return the time limit of an operation, in seconds."""
        configured = (values.get("timeouts") or {}).get(operation)
        return seconds(configured) if isinstance(configured, str) else self.default_limit_s


def seconds(duration: str) -> float:
    """``1h30m``, ``45m``, ``2.5s`` in seconds.

    Raises
    ------
    ProviderError
        No such duration.
    """
    parts = re.findall(r"([\d.]+)(h|m|s)", duration)
    if not parts or "".join(map("".join, parts)) != duration:
        raise ProviderError(f"timeout {duration!r} is no duration such as 45m or 90s")
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


def found(session: Session, path: str) -> Any:
    """Return the answer of a GET, None for 404."""
    try:
        return session.call("GET", path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def undo(session: Session, path: str, what: str, error: ProviderError) -> UndoneError:
    """Delete what a failed create has made; return the error to raise."""
    try:
        remove(session, "DELETE", path)
    except ProviderError as failed:
        return UndoneError(f"{error}. {what} could not be deleted: {failed}")
    return UndoneError(f"{error}. {what} was deleted")


def settled(
    look: Callable[[], str | None], looks: Iterator[None], goal: str, failures: Collection[str]
) -> None:
    """Look at a state until it is the goal.

    Raises
    ------
    ProviderError
        It is one of the failures, or the time is over.
    """
    state = None
    for _ in looks:
        state = look()
        if state == goal:
            return
        if state in failures:
            raise ProviderError(f"failed to reach {goal}, got {state}")
    raise ProviderError(f"timed out: current status: {state}")


def remove(session: Session, method: str, path: str, content: Any = None) -> None:
    """Send a deleting request; an object that is not there counts as deleted."""
    try:
        session.call(method, path, content)
    except ApiError as error:
        if error.status != 404:
            raise
