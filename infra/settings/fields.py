"""The kinds of values that an environment's file holds, with the platform's rules for each."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


Identifier = Annotated[
    str,
    matching(
        r"[a-z][a-z0-9_]{0,62}",
        "a-z first, then up to 62 of a-z, 0-9 and _ (Unity Catalog stores lower case)",
    ),
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
Email = Annotated[str, matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Emails = Annotated[tuple[Email, ...], AfterValidator(unique)]
TagKey = Annotated[str, matching(r"[A-Za-z0-9_.:/-]{1,127}", "1-127 letters, digits and _.:/-")]
NonEmpty = Annotated[str, Field(min_length=1)]
