"""One field that is not as declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

ABSENT = "absent"
EXISTS = "exists"


@dataclass(frozen=True)
class Difference:
    """A field of a resource: what the environment declares, what the API says."""

    resource: str
    field: str
    declared: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.resource}: {self.field} is {self.found!r}, declared is {self.declared!r}"


def missing(resource: str) -> Difference:
    """Return the difference of a resource that is not there."""
    return Difference(resource, EXISTS, True, False)


def compare(
    resource: str, declared: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare field by field; one that only one side has is ``absent`` on the other."""
    for field in [*declared, *(key for key in found if key not in declared)]:
        wanted, got = declared.get(field, ABSENT), found.get(field, ABSENT)
        if wanted != got:
            yield Difference(resource, field, wanted, got)


def get_or_none(get: Callable[[], T]) -> T | None:
    """Return the answer of a call; None for 404."""
    from databricks.sdk.errors import NotFound

    try:
        return get()
    except NotFound:
        return None
