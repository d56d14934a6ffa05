"""Plans of changes: a pure function of configuration and state.

The rules are those of a provider on the older Terraform SDK, under which null and a zero value are
one and "no change" means that the state is returned as it is. :func:`plan` is one way of planning;
a type of the newer framework, which is strict, brings another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from .schema import Attribute, Block, Nested
from .values import UNKNOWN, Unknown, Values, empty, fingerprint, same, zero

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Plan:
    """The planned state, and the attributes that make it a replacement."""

    planned: Values
    replace: list[Path] = field(default_factory=list)


def plan(block: Block, config: Values, prior: Values | None) -> Plan:
    """Plan one resource.

    Parameters
    ----------
    block
        Its type.
    config
        The configuration; a value of a resource that does not exist yet is unknown.
    prior
        The state after refresh; None for a new resource (for a replacement Terraform asks again,
        without).
    """
    planned = _block(block, config, prior, new=prior is None)
    if prior is None:
        return Plan(planned)
    changed = {key: value for key, value in planned.items() if key != "timeouts"}
    if all(same(value, prior.get(key)) for key, value in changed.items()):
        return Plan(prior)
    return Plan(planned, _replacements(block, planned, prior))


def _block(block: Block, config: Values, prior: Values | None, *, new: bool) -> Values:
    before = prior or {}
    planned: Values = {}
    for name, attribute in block.attributes.items():
        twin = attribute.twin and config.get(attribute.twin)
        planned[name] = _attribute(attribute, config.get(name), before.get(name), twin, new=new)
    for name, nested in block.blocks.items():
        planned[name] = _nested(nested, config.get(name), before.get(name), new=new)
    return planned


def _attribute(attribute: Attribute, config: Any, prior: Any, twin: Any, *, new: bool) -> Any:
    if isinstance(config, list) and any(isinstance(each, Unknown) for each in config):
        return UNKNOWN
    if config is not None:
        return prior if _equivalent(attribute, config, prior) else config
    if "computed" in attribute.words:
        return UNKNOWN if new else prior
    if attribute.default is not None:
        return attribute.default
    stays = "keep" in attribute.words or (twin and twin == prior) or attribute.fills == prior
    return prior if stays or empty(prior) else None


def _equivalent(attribute: Attribute, config: Any, prior: Any) -> bool:
    """Return whether the configuration is another spelling of the state."""
    if prior is None or isinstance(config, Unknown):
        return False
    if attribute.type == "string_set":
        spell = canonical if "words" in attribute.words else str
        return sorted(map(spell, config)) == sorted(map(spell, prior))
    if "path" in attribute.words:
        return bool(config.removeprefix("/Workspace") == prior.removeprefix("/Workspace"))
    return "fold" in attribute.words and config.casefold() == prior.casefold()


def canonical(privilege: str) -> str:
    """``use schema`` as the server spells it: ``USE_SCHEMA``."""
    return privilege.upper().replace(" ", "_")


def _nested(nested: Nested, config: Any, prior: Any, *, new: bool) -> Any:
    if nested.mode == "timeouts" or isinstance(config, Unknown):
        return config
    if not config and nested.computed:
        return UNKNOWN if new else prior
    if prior and "keep" in nested.words:
        planned = _block(nested.block, config[0], prior[0], new=new) if config else {}
        return [_blanked(nested.block, planned, prior[0])]
    if nested.mode == "set":
        return _set(nested, config, prior or [])
    return [
        _block(nested.block, element, before, new=new)
        for element, before in zip_longest(config, (prior or [])[: len(config)])
    ]


def _blanked(block: Block, planned: Values, prior: Values) -> Values:
    """Return a block that stays when it is configured no longer: its lists keep their lengths.

    The real provider suppresses the removal of the block, of its values and of its lists, but not
    of what is in the lists: a blank takes the place of each element, and is sent.
    """
    kept = dict(prior) | {name: value for name, value in planned.items() if not empty(value)}
    for name, attribute in block.attributes.items():
        if attribute.type == "strings" and empty(planned.get(name)) and prior.get(name):
            kept[name] = [""] * len(prior[name])
    for name, nested in block.blocks.items():
        if empty(planned.get(name)) and prior.get(name):
            blank = dict.fromkeys((*nested.block.attributes, *nested.block.blocks))
            kept[name] = [_with_zeros(nested.block, blank) for _ in prior[name]]
    return kept


def _set(nested: Nested, config: list[Values], prior: list[Values]) -> list[Values]:
    """New elements carry zeros for what is not configured; elements that stay carry null."""
    existing = {fingerprint(element) for element in prior}
    if existing == {fingerprint(element) for element in config}:
        return prior
    return [
        element if fingerprint(element) in existing else _with_zeros(nested.block, element)
        for element in config
    ]


def _with_zeros(block: Block, element: Values) -> Values:
    return {
        name: zero(block.attributes[name]) if value is None else value
        for name, value in element.items()
    }


def _replacements(block: Block, planned: Values, prior: Values, path: Path = ()) -> list[Path]:
    found: list[Path] = [
        (*path, name)
        for name, attribute in block.attributes.items()
        if "force_new" in attribute.words and not same(planned.get(name), prior.get(name))
    ]
    for name, nested in block.blocks.items():
        if nested.mode in ("object", "objects") and isinstance(planned.get(name), list):
            held = prior.get(name) or []
            if "force_new" in nested.words and len(planned[name]) != len(held):
                found.append((*path, name))
            pairs: Any = zip_longest(planned[name], held, fillvalue={})
            for index, (after, before) in enumerate(pairs):
                found += _replacements(nested.block, after, before, (*path, name, index))
    return found
