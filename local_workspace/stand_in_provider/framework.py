"""Types of the newer Terraform framework: strict, so null and zero are two different values.

There are no blocks, only nested attributes; what the server computes is unknown after any change.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .plan import Plan
from .schema import Block, Nested
from .values import UNKNOWN, Unknown, Values, conform, fingerprint


def plan(block: Block, config: Values, prior: Values | None) -> Plan:
    """Plan one resource: what :func:`.plan.plan` is for the others. Nothing forces a new one."""
    proposed = _proposed(block, config, prior or {})
    if prior is not None and equal(block, proposed, prior):
        return Plan(prior)
    return Plan(_marked(block, proposed, config, new=prior is None))


def _proposed(block: Block, config: Values, prior: Values) -> Values:
    """Return the configuration, and what was computed before where nothing is configured."""
    values: Values = {}
    for name, attribute in block.attributes.items():
        keeps = config[name] is None and "computed" in attribute.words
        values[name] = prior.get(name) if keeps else config[name]
    for name, nested in block.blocks.items():
        given, before = config[name], prior.get(name)
        if given is None and nested.computed:
            values[name] = before
        elif nested.mode == "struct" and isinstance(given, dict):
            values[name] = _proposed(nested.block, given, before or {})
        else:
            values[name] = given
    return values


def _marked(block: Block, proposed: Values, config: Values, *, new: bool) -> Values:
    """Return the proposal with everything unknown that the server will compute."""
    values = dict(proposed)
    for name, attribute in block.attributes.items():
        if config[name] is None and "computed" in attribute.words:
            values[name] = proposed[name] if "stable" in attribute.words and not new else UNKNOWN
    for name, nested in block.blocks.items():
        if config[name] is None and nested.computed:
            values[name] = UNKNOWN
        elif nested.mode == "struct" and isinstance(config[name], dict):
            values[name] = _marked(nested.block, proposed[name], config[name], new=new)
    return values


def equal(block: Block, one: Values, other: Values) -> bool:
    """Return whether two objects are the same; sets have no order."""
    plain = all(one.get(name) == other.get(name) for name in block.attributes)
    nested = block.blocks.values()
    return plain and all(_alike(each, one.get(each.name), other.get(each.name)) for each in nested)


def _alike(nested: Nested, one: Any, other: Any) -> bool:
    if any(each is None or isinstance(each, Unknown) for each in (one, other)):
        return one is other
    if nested.mode == "struct_set":
        return sorted(map(fingerprint, one)) == sorted(map(fingerprint, other))
    return equal(nested.block, one, other)


def body(block: Block, values: Values) -> Values:
    """Return the JSON object to send: all that is set, zeros too, but nothing computed."""
    sent: Values = {}
    for name, attribute in block.attributes.items():
        value = values[name]
        own = "computed" in attribute.words or value is None or isinstance(value, Unknown)
        if not own:
            # Terraform writes a number that is no binary fraction, such as 0.05, as text.
            text = attribute.type == "number" and isinstance(value, str)
            sent[name] = float(value) if text else value
    for name, nested in block.blocks.items():
        value = values[name]
        if nested.computed or value is None or isinstance(value, Unknown):
            continue
        if nested.mode == "struct":
            sent[name] = body(nested.block, value)
        else:
            sent[name] = [body(nested.block, element) for element in value]
    return sent


def answered(block: Block, raw: Values | None) -> Values:
    """Return the object of an answer, with fractions as Terraform writes them."""
    return _decimals(block, conform(block, raw))


def _decimals(block: Block, values: Values) -> Values:
    for name, attribute in block.attributes.items():
        value = values[name]
        if attribute.type == "number" and isinstance(value, float):
            written = Decimal(repr(value))
            values[name] = value if written == Decimal(value) else str(written)
    for nested in block.blocks.values():
        inner = values[nested.name]
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                _decimals(nested.block, each)
    return values
