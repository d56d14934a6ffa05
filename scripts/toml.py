"""Tables as TOML text; the standard library only reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def to_toml(tables: Mapping[str, Any], heading: str) -> str:
    """The tables as TOML text."""
    lines = [*(f"# {line}" for line in heading.splitlines()), ""]
    lines += [f"{key} = {_value(v)}" for key, v in tables.items() if not _is_table(v)]
    for key, value in tables.items():
        if _is_table(value):
            lines += _table(key, value)
    return "\n".join(lines) + "\n"


def _table(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from ("", f"[[{name}]]", *(f"{_key(k)} = {_value(v)}" for k, v in entry.items()))
        return
    plain = {key: each for key, each in value.items() if not isinstance(each, Mapping)}
    inner = {key: each for key, each in value.items() if isinstance(each, Mapping)}
    if plain:
        yield from ("", f"[{name}]", *(f"{_key(k)} = {_value(v)}" for k, v in plain.items()))
    for key, each in inner.items():
        yield from _table(f"{name}.{_key(key)}", each)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
    )


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "").isalnum() and key.isascii()
    return key if bare else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    # A JSON string is a TOML basic string, except for DEL and escaped surrogates.
    return json.dumps(value, ensure_ascii=False)
