"""Between Terraform values and the JSON of the REST API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .schema import Block
from .values import Unknown, Values, conform, empty, known, same, zero

_NOTHING: dict[str, Any] = {"map": {}, "strings": [], "string_set": [], "records": []}


def body(block: Block, values: Values, only: Collection[str] | None = None) -> Values:
    """Return the JSON object to send: no unknowns, and zeros only where the attribute is required.

    Parameters
    ----------
    block, values
        The values to send, with their type.
    only
        Names at this level to send; None for all.
    """
    sent: Values = {}
    for name, attribute in block.attributes.items():
        value = values.get(name)
        if (only is not None and name not in only) or "local" in attribute.words:
            continue
        if value is None or isinstance(value, Unknown):
            continue
        if {"required", "explicit"} & attribute.words or not empty(value):
            sent[name] = value
    for name, nested in block.blocks.items():
        elements = values.get(name)
        if isinstance(elements, list) and elements and (only is None or name in only):
            objects = [body(nested.block, element) for element in elements]
            sent[nested.wire] = objects[0] if nested.mode == "object" else objects
    return sent


def refreshed(block: Block, answer: Values, state: Values, *, fresh: bool) -> Values:
    """Return the state after reading.

    At the top level an empty answer leaves the state alone, and so does an answer to what the
    state does not hold, unless it is computed. A block that is taken, is taken whole.

    Parameters
    ----------
    block
        The type.
    answer
        The object as the server returned it.
    state
        The state before.
    fresh
        The first read after a create or for an import: everything is taken.
    """
    after = dict(state)
    for name, attribute in block.attributes.items():
        given_by_server = not {"optional", "required"} & attribute.words
        value = answer.get(name)
        if value is None and (given_by_server or attribute.type in ("bool", "number")):
            value = zero(attribute)
        nothing = value in (None, [], {}) or (value == "" and not given_by_server)
        takes = fresh or "computed" in attribute.words or not empty(state.get(name))
        if "local" not in attribute.words and takes and not nothing:
            after[name] = _records(attribute.fields, value) if attribute.fields else value
    for name, nested in block.blocks.items():
        value = answer.get(nested.wire)
        takes = fresh or nested.computed or bool(state.get(name))
        says_nothing = value in (None, []) or (value == {} and _all_text(nested.block))
        if takes and not says_nothing:
            after[name] = _records(nested.block, value)
    return conform(block, known(after))


def _all_text(block: Block) -> bool:
    """Return True for a block of which an empty object leaves nothing: no list, number or flag."""
    texts = all(each.type in ("string", "map") for each in block.attributes.values())
    return texts and not block.blocks


def _records(block: Block, value: Any) -> list[Values]:
    objects = [value] if isinstance(value, dict) else value
    return [_taken(block, each) for each in objects]


def _taken(block: Block, answer: Values) -> Values:
    """Return a block's content: what the server does not name is zero."""
    taken: Values = {}
    for name, attribute in block.attributes.items():
        value, fields = answer.get(name), attribute.fields
        if value is None:
            taken[name] = _NOTHING.get(attribute.type, zero(attribute))
        else:
            taken[name] = _records(fields, value) if fields else value
    for name, nested in block.blocks.items():
        value = answer.get(nested.wire)
        taken[name] = [] if value is None else _records(nested.block, value)
    return taken


def applied(block: Block, planned: Values, state: Values) -> Values:
    """Return the state after apply: as read, but sets and empty collections stay as planned."""
    after = dict(state)
    for name, attribute in block.attributes.items():
        collection = attribute.type in ("map", "strings", "string_set")
        if collection and planned.get(name) is None and empty(state.get(name)):
            after[name] = None
    for name, nested in block.blocks.items():
        plan, read = planned.get(name), state.get(name)
        if not isinstance(plan, list) or not isinstance(read, list):
            continue
        if nested.mode == "set":
            after[name] = plan
        else:
            pairs = zip(plan, read, strict=False)
            after[name] = [applied(nested.block, one, two) for one, two in pairs]
            after[name] += read[len(plan) :]
    return after


def emptied(block: Block, planned: Values, prior: Values) -> Values:
    """Return the planned state, with zeros for attributes that are configured no longer."""
    return {
        name: zero(block.attributes[name])
        if value is None and name in block.attributes and prior.get(name) is not None
        else value
        for name, value in planned.items()
    }


def changes(planned: Values, prior: Values) -> set[str]:
    """Return the names of attributes and blocks at the top that differ, save ``timeouts``."""
    return {
        name
        for name, value in planned.items()
        if name != "timeouts" and not same(value, prior.get(name))
    }
