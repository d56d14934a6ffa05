"""Refusals of texts in an environment's file, whatever their key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..plain_secrets import holds_secret, shown, texts

_TEMPLATE = re.compile(r"[$%]\{|#\{TfToken\[")
"""Terraform's; the last one is the CDK's, which stops at it."""


def refuse_secrets(values: object) -> None:
    """Refuse text or keys that look like a secret: all goes into plans, much into messages."""
    if wrong := [shown(place) for place, text in _written(values) if holds_secret(text)]:
        raise ValueError(
            f"{', '.join(wrong)}: looks like a secret, which never stands in this file: take it out"
        )


def refuse_templates(values: object) -> None:
    """Refuse text or keys that Terraform would evaluate: the CDK passes them on as they are.

    What it finds on the machine that plans (``${path.cwd}``, ``${file("...")}``) would stand in the
    plan and in the state, and no longer be what the file declares.
    """
    if wrong := [shown(place) for place, text in _written(values) if _TEMPLATE.search(text)]:
        raise ValueError(
            f"{', '.join(wrong)}: has ${{, %{{ or #{{TfToken[, with which a template of Terraform "
            "begins: what stands in this file is taken literally; write it without"
        )


def refuse_other_spellings(principals: Iterable[str]) -> None:
    """Refuse principals that differ only in case: the platform takes them for one."""
    spelled: dict[str, str] = {}
    for principal in principals:
        first = spelled.setdefault(principal.casefold(), principal)
        if first != principal:
            raise ValueError(
                f"{first!r} and {principal!r} differ only in case and are one principal: write it "
                "in one way everywhere"
            )


def _written(values: object) -> Iterator[tuple[str, str]]:
    """Each text, and each key of a table, with the place where it stands."""
    yield from texts(values)
    yield from _keys(values)


def _keys(values: object, table: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        for name, inner in values.items():
            yield f"a key of {table or 'the file'}", name
            yield from _keys(inner, f"{table}.{name}" if table else name)
    elif isinstance(values, list):
        for place, inner in enumerate(values):
            yield from _keys(inner, f"{table}.{place}")
