"""The kinds of values that an environment's file holds, with the platform's rules for each."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..naming import SECURABLE


class Closed(BaseModel):
    """A table of the file: frozen, without unknown keys, without conversions between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def matching(pattern: str, meaning: str) -> AfterValidator:
    """Refuse text that does not match as a whole; ``meaning`` says what is allowed."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {meaning}")
        return value

    return AfterValidator(check)


def unique(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that says one thing twice."""
    if len(set(values)) != len(values):
        raise ValueError("each entry may appear once")
    return values


def unique_by(field: str) -> AfterValidator:
    """Refuse a list with two entries of one name, principal or check."""

    def check(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        unique(tuple(getattr(entry, field) for entry in entries))
        return entries

    return AfterValidator(check)


def _no_platform_catalog(catalog: str) -> str:
    if catalog in _PLATFORM_CATALOGS:
        raise ValueError(
            "is a catalog of the platform, in which nothing can be made: give your own"
        )
    return catalog


def _no_platform_schema(schema: str) -> str:
    if schema == "information_schema":
        raise ValueError("is the platform's own, in every catalog: give another name")
    return schema


_PLATFORM_CATALOGS = frozenset({"system", "hive_metastore", "samples"})


def _lower(name: str) -> str:
    if name != name.lower():
        raise ValueError(f"must be {name.lower()!r}: Unity Catalog stores lower case")
    return name


Name = Annotated[
    str,
    matching(SECURABLE, "1-255 characters without . / space and control characters"),
    AfterValidator(_lower),
]
"""Any name that Unity Catalog takes, for it may exist already; guards judge what is created."""
Catalog = Annotated[Name, AfterValidator(_no_platform_catalog)]
Schema = Annotated[Name, AfterValidator(_no_platform_schema)]
TablePrefix = Annotated[
    str,
    matching(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", "1-63 letters, digits, - and _, not - first"),
]
EnvironmentName = Annotated[
    str, matching(r"[a-z][a-z0-9-]{0,31}", "named with 1-32 of a-z, 0-9 and -, a letter first")
]
EndpointName = Annotated[
    str,
    matching(
        r"(?!databricks-)[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
        "1-63 letters, digits, - and _, not starting with 'databricks-' (the platform's own)",
    ),
]
Principal = Annotated[
    str, matching(r"\S(.{0,253}\S)?", "a group, a user or an application id of 1-255 characters")
]
Identity = Annotated[
    str,
    matching(
        r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[^@\s]+@[^@\s]+\.[^@\s]+",
        "the application id of a service principal (00000000-0000-0000-0000-000000000000), or a "
        "person's e-mail address: groups neither deploy, plan nor build",
    ),
]
Email = Annotated[str, matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Emails = Annotated[tuple[Email, ...], AfterValidator(unique)]
TagKey = Annotated[
    str, matching(r"[A-Za-z0-9 _.:/=+@-]{1,127}", "1-127 letters, digits, spaces and _.:/=+@-")
]
NonEmpty = Annotated[str, Field(min_length=1)]
