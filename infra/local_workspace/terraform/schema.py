"""The tables that describe resource types, and what Terraform is told about them.

A table is text, one line for attributes of one kind, nested blocks indented by four spaces::

    catalog_name name: string required force_new fold
    tags: set
        key: string required

Types of attributes: ``string``, ``number``, ``bool``, ``map``, ``strings`` (list), ``string_set``.
Types of blocks: ``object`` (a list of at most one), ``objects`` (a list), ``set``, ``timeouts``.

Words after the type: ``required``, ``optional``, ``computed``, ``sensitive`` are the schema's own.
The others are behaviour that the schema does not tell and the planner needs:

``force_new``
    a change replaces the resource;
``fold``
    letter case makes no difference;
``words``
    neither case nor the choice of space or underscore makes a difference;
``keep``
    not configured means: what is there stays;
``twin=NAME``
    not configured means: what is there stays, as long as it equals the attribute NAME beside it;
``default=false``
    the value when not configured;
``local``
    known to Terraform only, never sent and never read;
``computed`` on a block
    not configured means: the server chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tf.gen import tfplugin_pb2 as pb

Type = Literal["string", "number", "bool", "map", "strings", "string_set"]
Mode = Literal["object", "objects", "set", "timeouts"]

_CTY: dict[str, bytes] = {
    "string": b'"string"',
    "number": b'"number"',
    "bool": b'"bool"',
    "map": b'["map","string"]',
    "strings": b'["list","string"]',
    "string_set": b'["set","string"]',
}
_MODES = ("object", "objects", "set", "timeouts")
_FLAGS = {
    *("required", "optional", "computed", "sensitive"),
    *("force_new", "fold", "words", "keep", "local"),
}


@dataclass(frozen=True)
class Attribute:
    """One attribute and its words."""

    name: str
    type: Type
    words: frozenset[str]
    default: bool | None = None
    twin: str | None = None


@dataclass(frozen=True)
class Nested:
    """One nested block."""

    name: str
    mode: Mode
    block: Block
    computed: bool = False
    min_items: int = 0


@dataclass(frozen=True)
class Block:
    """Attributes and nested blocks by name."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, Nested] = field(default_factory=dict)


def table(text: str) -> Block:
    """Read a table.

    Raises
    ------
    ValueError
        A line that is none, or a word that is not known.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    margin = min(_indent(line) for line in lines)
    return _block(lines, margin)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block(lines: list[str], indent: int) -> Block:
    block = Block()
    for line, inner in _groups(lines, indent):
        names, _, rest = line.partition(":")
        kind, *words = rest.split()
        for name in names.split():
            if kind in _MODES:
                block.blocks[name] = _nested(name, kind, words, _block(inner, indent + 4))
            elif kind in _CTY:
                block.attributes[name] = _attribute(name, kind, words)
            else:
                raise ValueError(f"{line.strip()!r}: {kind!r} is no type of attribute or block")
    return block


def _groups(lines: list[str], indent: int) -> Iterator[tuple[str, list[str]]]:
    """Each line of this depth with the deeper lines below it."""
    starts = [number for number, line in enumerate(lines) if _indent(line) == indent]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start], lines[start + 1 : end]


def _attribute(name: str, kind: Any, words: list[str]) -> Attribute:
    valued = dict(word.split("=", 1) for word in words if "=" in word)
    flags = frozenset(word for word in words if "=" not in word)
    if unknown := (flags - _FLAGS) | (valued.keys() - {"default", "twin"}):
        raise ValueError(f"{name}: unknown words {sorted(unknown)}")
    default = valued["default"] == "true" if "default" in valued else None
    return Attribute(name, kind, flags, default, valued.get("twin"))


def _nested(name: str, mode: Any, words: list[str], block: Block) -> Nested:
    least = next((int(word[4:]) for word in words if word.startswith("min=")), 0)
    return Nested(name, mode, block, "computed" in words, least)


def to_protobuf(block: Block) -> pb.Schema:
    """The schema as Terraform wants it, version 0."""
    return pb.Schema(version=0, block=_block_to_protobuf(block))


def _block_to_protobuf(block: Block) -> pb.Schema.Block:
    attributes = [
        pb.Schema.Attribute(
            name=attribute.name,
            type=_CTY[attribute.type],
            required="required" in attribute.words,
            optional="optional" in attribute.words,
            computed="computed" in attribute.words,
            sensitive="sensitive" in attribute.words,
        )
        for attribute in block.attributes.values()
    ]
    nested = [_nested_to_protobuf(each) for each in block.blocks.values()]
    return pb.Schema.Block(version=0, attributes=attributes, block_types=nested)


def _nested_to_protobuf(nested: Nested) -> pb.Schema.NestedBlock:
    modes = pb.Schema.NestedBlock
    mode = {"set": modes.SET, "timeouts": modes.SINGLE}.get(nested.mode, modes.LIST)
    return pb.Schema.NestedBlock(
        type_name=nested.name,
        block=_block_to_protobuf(nested.block),
        nesting=mode,
        min_items=nested.min_items,
        max_items=1 if nested.mode == "object" else 0,
    )
