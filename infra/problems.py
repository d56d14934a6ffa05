"""The mistakes that pydantic found in a file, in words for the person who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Set
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from .plain_secrets import may_be_shown, shown

_SUBJECT = re.compile(r"^\w+ should")
"""How pydantic's own messages begin; ours go on from the key."""


def describe(
    entry: ErrorDetails,
    root: type[BaseModel],
    *,
    hidden: Set[str] = frozenset(),
    unshown: Set[str] = frozenset(),
) -> str:
    """One line on one problem: the key, the value, what is allowed.

    Parameters
    ----------
    entry
        From :meth:`pydantic.ValidationError.errors` of ``root``.
    root
        The model of the whole file.
    hidden
        Fields of ``root`` that are no keys of the file.
    unshown
        Tables whose values are never repeated.
    """
    parts = _walk(root, entry["loc"])[0]
    key = ".".join(map(shown, parts))
    match entry["type"]:
        case "missing":
            return f"{key}: missing"
        case "extra_forbidden":
            # Without the value: an unknown key may well be a misplaced secret.
            _, models = _walk(root, entry["loc"][:-1])
            allowed = sorted({key for model in models for key in _keys(model)} - hidden)
            close = difflib.get_close_matches(str(entry["loc"][-1]), allowed, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed)}"
            return f"{key}: unknown key; {hint}"
        case "union_tag_invalid" | "union_tag_not_found":
            context = entry["ctx"]
            tag = context["discriminator"].strip("'")
            if entry["type"] == "union_tag_not_found":
                given = entry["input"] if isinstance(entry["input"], dict) else {}
                close = difflib.get_close_matches(tag, map(str, given), 1, 0.8)
                meant = f"; you wrote {close[0]!r}" if close else ""
                return f"{key}.{tag}: missing{meant}"
            said = f"{context['tag']!r} is" if may_be_shown(context["tag"]) else "is"
            return f"{key}.{tag}: {said} not one of {context['expected_tags']}"
    message = _SUBJECT.sub("must", entry["msg"].removeprefix("Value error, "))
    value = entry["input"]
    told = not (value is None or _is_table(value) or unshown & {*entry["loc"]})
    told = told and may_be_shown(str(value))
    return (f"{key}: " if key else "") + message + (f" (got {value!r})" if told else "")


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def _walk(
    root: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The key as it stands in the file, and what may be in the table there."""
    parts: list[str] = []
    models = [root]
    for part in location:
        if part == "[key]":
            continue
        tagged = [m for m in models if part in _tags(m)] if len(models) > 1 else []
        if tagged:  # pydantic names the alternative of a union: no part of the file
            models = tagged
            continue
        parts.append(str(part))
        if isinstance(part, str):
            models = [
                inner
                for model in models
                for name, field in model.model_fields.items()
                if part in (name, field.alias)
                for inner in _models_in(field.annotation)
            ]
    return parts, models


def _keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the value that tells this alternative of a union from the others."""
    return tuple(
        value
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for value in get_args(field.annotation)
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
