"""Values as Terraform passes them: plain Python, plus one mark for "known after apply"."""

# msgpack carries no types.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
from typing import Any, Final

from msgpack import ExtType, packb, unpackb  # type: ignore[attr-defined]

from .schema import Attribute, Block

Values = dict[str, Any]


class Unknown:
    """The type of :data:`UNKNOWN`, a value that is known only after apply."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
_UNKNOWN_EXTENSION = 0
_ZEROS: dict[str, Any] = {"string": "", "number": 0, "bool": False}


def decode(data: bytes) -> Any:
    """MessagePack to values. Any extension is an unknown: refined ones only say what it may be."""
    if not data:
        return None
    return unpackb(data, ext_hook=lambda code, content: UNKNOWN, strict_map_key=False)


def encode(value: Any) -> bytes:
    """Encode values as MessagePack."""
    packed: bytes = packb(value, default=lambda unknown: ExtType(_UNKNOWN_EXTENSION, b"\0"))
    return packed


def conform(block: Block, raw: Values | None) -> Values:
    """Return the object with exactly the fields of `block`; missing ones are null."""
    raw = raw or {}
    values: Values = {name: raw.get(name) for name in block.attributes}
    for nested in block.blocks.values():
        given = raw.get(nested.name)
        if isinstance(given, Unknown) or (given is None and nested.mode == "struct_set"):
            values[nested.name] = given
        elif nested.mode == "timeouts":
            values[nested.name] = conform(nested.block, given) if given else None
        elif nested.mode == "struct":
            values[nested.name] = None if given is None else conform(nested.block, given)
        else:
            values[nested.name] = [conform(nested.block, element) for element in given or []]
    return values


def known(value: Any) -> Any:
    """Return the same value with null in place of what is unknown."""
    if isinstance(value, Unknown):
        return None
    if isinstance(value, dict):
        return {key: known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [known(inner) for inner in value]
    return value


def empty(value: Any) -> bool:
    """Return whether the value says no more than null does: "", 0, false, no element."""
    return value is None or (not isinstance(value, Unknown) and value in ("", 0, False, [], {}))


def same(one: Any, other: Any) -> bool:
    """Equality under which null, "", 0, false and no element are one; unknown equals nothing."""
    if isinstance(one, Unknown) or isinstance(other, Unknown):
        return False
    if empty(one) and empty(other):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one.get(key), other.get(key)) for key in {*one, *other})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def fingerprint(value: Any) -> str:
    """Equal for values that are the :func:`same`; for comparing elements of sets."""
    return json.dumps(_without_empty(value), sort_keys=True, default=repr)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(inner) for key, inner in value.items() if not empty(inner)}
    if isinstance(value, list):
        return [_without_empty(inner) for inner in value]
    return value


def zero(attribute: Attribute) -> Any:
    """Return the zero of a scalar; null for collections."""
    return _ZEROS.get(attribute.type)
