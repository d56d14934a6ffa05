"""Synthesised JSON against the provider's schema, as the tables of the stand-in hold it."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from scgpt_databricks.local_workspace.stand_in_provider.rpc import PROVIDER, RESOURCES
from scgpt_databricks.local_workspace.stand_in_provider.schema import Attribute, Block, Nested

Json = dict[str, Any]

_META = {"//", "depends_on", "lifecycle"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "bool": (bool,),
}
_ONE = ("object", "struct", "timeouts")


def mistakes(stack: Json) -> list[str]:
    """List what Terraform would refuse in a stack: unknown keys, wrong types, missing values."""
    found: list[str] = []
    for provider in stack["provider"]["databricks"]:
        found += _block(provider, PROVIDER, "provider")
    for kind, resources in stack["resource"].items():
        if kind not in RESOURCES:
            found.append(f"{kind}: no such resource type")
            continue
        for name, body in resources.items():
            found += _block(body, RESOURCES[kind].table, f"{kind}.{name}", meta=_META)
    return found


def _block(body: Json, block: Block, path: str, meta: Set[str] = frozenset()) -> Iterator[str]:
    for key in body.keys() - meta:
        here = f"{path}.{key}"
        if key in block.blocks:
            yield from _nested(body[key], block.blocks[key], here)
        elif key in block.attributes:
            yield from _attribute(body[key], block.attributes[key], here)
        else:
            yield f"{here}: no such key"
    required = {n for n, attribute in block.attributes.items() if "required" in attribute.words}
    required |= {n for n, b in block.blocks.items() if "required" in b.words or b.min_items}
    for name in required - body.keys():
        yield f"{path}.{name}: missing"


def _attribute(value: Any, attribute: Attribute, path: str) -> Iterator[str]:
    if not {"required", "optional"} & attribute.words:
        yield f"{path}: only the server sets it"
    elif not _fits(value, attribute):
        yield f"{path}: {value!r} is no {attribute.type}"


def _nested(value: Any, nested: Nested, path: str) -> Iterator[str]:
    bodies = value if isinstance(value, list) else [value]
    if nested.mode in _ONE and len(bodies) > 1:
        yield f"{path}: at most one"
    for index, body in enumerate(bodies):
        yield from _block(body, nested.block, f"{path}.{index}")


def _fits(value: Any, attribute: Attribute) -> bool:
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        return True
    if attribute.type in _SCALARS:
        is_bool = isinstance(value, bool)
        return isinstance(value, _SCALARS[attribute.type]) and is_bool == (attribute.type == "bool")
    if attribute.type == "map":
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
