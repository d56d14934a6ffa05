"""The tables that describe resource types, and what Terraform is told about them.

A field that is in no table does not exist: Terraform itself refuses it.

A table is text, one line for attributes of one kind, nested blocks indented by four spaces::

    catalog_name name: string required force_new fold
    tags: set
        key: string required

Types of attributes: ``string``, ``number``, ``bool``, ``map``, ``strings`` (list), ``string_set``,
``records`` (a list of objects that only the server sets; its fields are indented below it).
Types of blocks: ``object`` (a list of at most one), ``objects`` (a list), ``set``, ``timeouts``.
Nested attributes, which only types of the newer framework have: ``struct`` and ``struct_set``; they
take ``required``, ``optional`` and ``computed``.

Words after the type: ``required``, ``optional``, ``computed``, ``sensitive`` are the schema's own.
The others are behaviour that the schema does not tell and the planner needs:

``force_new``
    a change replaces the resource;
``fold``
    letter case makes no difference;
``words``
    neither case nor the choice of space or underscore makes a difference;
``path``
    a leading ``/Workspace`` makes no difference;
``keep``
    not configured means: what is there stays;
``twin=NAME``
    not configured means: what is there stays, as long as it equals the attribute NAME beside it;
``fills=VALUE``
    not configured means: what is there stays, as long as it is VALUE, which the server fills in;
``default=VALUE``
    the value when not configured;
``explicit``
    sent even when it is zero;
``local``
    known to Terraform only, never sent and never read;
``stable``
    set once by the server: no update makes it unknown (newer framework);
``computed`` on a block
    not configured means: the server chooses;
``keep`` on a block
    not configured means: what is there stays, but with blanks for what its lists held;
``force_new`` on a block
    adding or removing it replaces the resource;
``wire=NAME`` on a block
    what the REST API calls it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from tf.gen import tfplugin_pb2 as pb

Type = Literal["string", "number", "bool", "map", "strings", "string_set", "records"]
Mode = Literal["object", "objects", "set", "timeouts", "struct", "struct_set"]

_CTY: dict[str, Any] = {
    "string": "string",
    "number": "number",
    "bool": "bool",
    "map": ["map", "string"],
    "strings": ["list", "string"],
    "string_set": ["set", "string"],
}
_MODES = ("object", "objects", "set", "timeouts", "struct", "struct_set")
_STRUCTS = ("struct", "struct_set")
_FLAGS = {
    *("required", "optional", "computed", "sensitive", "explicit", "stable"),
    *("force_new", "fold", "words", "path", "keep", "local"),
}
_BLOCK_FLAGS = {"required", "optional", "computed", "keep", "force_new"}


@dataclass(frozen=True)
class Attribute:
    """One attribute and its words."""

    name: str
    type: Type
    words: frozenset[str]
    default: bool | int | str | None = None
    twin: str | None = None
    fills: str | None = None
    fields: Block | None = None


@dataclass(frozen=True)
class Nested:
    """One nested block, or nested attribute, and its words."""

    name: str
    mode: Mode
    block: Block
    words: frozenset[str] = frozenset()
    min_items: int = 0
    wire: str = ""

    @property
    def computed(self) -> bool:
        """The server chooses a value if nothing is configured."""
        return "computed" in self.words


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
            elif kind == "records":
                block.attributes[name] = _records(name, words, _block(inner, indent + 4))
            elif kind in _CTY:
                block.attributes[name] = _attribute(name, kind, words)
            else:
                raise ValueError(f"{line.strip()!r}: {kind!r} is no type of attribute or block")
    return block


def _groups(lines: list[str], indent: int) -> Iterator[tuple[str, list[str]]]:
    """Each line of this depth with the deeper lines below it."""
    starts = [number for number, line in enumerate(lines) if _indent(line) == indent]
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start], lines[start + 1 : end]


def _attribute(name: str, kind: Any, words: list[str]) -> Attribute:
    flags, valued = _words(name, words, _FLAGS, {"default", "twin", "fills"})
    parse: Any = {"bool": lambda text: text == "true", "number": int}.get(kind, str)
    default = parse(valued["default"]) if "default" in valued else None
    return Attribute(name, kind, flags, default, valued.get("twin"), valued.get("fills"))


def _records(name: str, words: list[str], fields: Block) -> Attribute:
    return Attribute(name, "records", _words(name, words, _FLAGS, set())[0], fields=fields)


def _nested(name: str, mode: Any, words: list[str], block: Block) -> Nested:
    flags, valued = _words(name, words, _BLOCK_FLAGS, {"min", "wire"})
    wire = valued.get("wire", name)
    return Nested(name, mode, block, flags, int(valued.get("min", 0)), wire)


def _words(
    name: str, words: list[str], known: set[str], keys: set[str]
) -> tuple[frozenset[str], dict[str, str]]:
    """Flags, and words with a value."""
    valued = dict(word.split("=", 1) for word in words if "=" in word)
    flags = frozenset(word for word in words if "=" not in word)
    if unknown := (flags - known) | (valued.keys() - keys):
        raise ValueError(f"{name}: unknown words {sorted(unknown)}")
    return flags, valued


def to_protobuf(block: Block, version: int = 0) -> pb.Schema:
    """Return the schema as Terraform wants it."""
    return pb.Schema(version=version, block=_block_to_protobuf(block))


def _block_to_protobuf(block: Block) -> pb.Schema.Block:
    nested = [each for each in block.blocks.values() if each.mode not in _STRUCTS]
    return pb.Schema.Block(
        version=0,
        attributes=_attributes_to_protobuf(block),
        block_types=[_nested_to_protobuf(each) for each in nested],
    )


def _attributes_to_protobuf(block: Block) -> list[pb.Schema.Attribute]:
    structs = [each for each in block.blocks.values() if each.mode in _STRUCTS]
    return [
        pb.Schema.Attribute(
            name=attribute.name,
            type=json.dumps(_cty(attribute)).encode(),
            **_flags(attribute.words),
        )
        for attribute in block.attributes.values()
    ] + [
        pb.Schema.Attribute(
            name=struct.name,
            nested_type=_struct_to_protobuf(struct),
            **_flags(struct.words),
        )
        for struct in structs
    ]


def _flags(words: frozenset[str]) -> Any:
    return {flag: flag in words for flag in ("required", "optional", "computed", "sensitive")}


def _cty(attribute: Attribute) -> Any:
    if attribute.fields is None:
        return _CTY[attribute.type]
    return ["list", ["object", {n: _cty(each) for n, each in attribute.fields.attributes.items()}]]


def _struct_to_protobuf(struct: Nested) -> pb.Schema.Object:
    modes = pb.Schema.Object
    nesting = modes.SET if struct.mode == "struct_set" else modes.SINGLE
    return modes(attributes=_attributes_to_protobuf(struct.block), nesting=nesting)


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
