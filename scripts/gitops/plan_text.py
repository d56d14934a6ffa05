"""A plan as lines of a diff, for readers: no value that is or may be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

HIDDEN = "(hidden)"

_LONGEST = 200
_FEW = 3
_LATER = "(known after the deploy)"
_Leaf = tuple[str | None, Any]
"""As readers see it, and as it is: that a hidden value changes is no secret."""
_NOTHING: _Leaf = (None, None)
_SIGNS = {"create": "+", "delete": "-", "update": "!", "import": "!"}
_PLACE = re.compile(r"\[\d+\]")
_REFERENCE = re.compile(r"\{\{secrets/[^{}\s]+\}\}")
# Whoever changed an endpoint by hand may have put a key into a plain variable.
_PRIVATE = re.compile(
    r"(^|\.)environment_vars\.|secret|token|passw|credential|api_?key|private_?key", re.I
)


def changed(document: Json) -> list[Json]:
    """The resources that a plan changes or imports, in its order."""
    return [
        entry
        for entry in document.get("resource_changes", [])
        if entry["mode"] == "managed"
        and (imported(entry) or entry["change"]["actions"] not in (["no-op"], ["read"]))
    ]


def imported(entry: Json) -> bool:
    """Whether something that exists is taken into Terraform's state."""
    return bool(entry["change"].get("importing"))


def action(entry: Json) -> str:
    """``create``, ``update``, ``delete``, ``replace``, or ``import`` alone."""
    actions = entry["change"]["actions"]
    if actions == ["no-op"]:
        return "import"
    return "replace" if len(actions) == 2 else str(actions[0])


def lines(entry: Json) -> Iterator[str]:
    """One resource's change: a line that names it, then one line per value, as a diff shows it."""
    what = action(entry)
    first = "import, then " if imported(entry) and what != "import" else ""
    yield f"{_SIGNS.get(what, '!')} {entry['address']}: {first}{what}"
    for path, before, after in _differences(entry):
        # A created resource has dozens of values that only the workspace knows.
        if before is not None:
            yield f"-     {path} = {before}"
        if after is not None and not (after == _LATER and what == "create"):
            yield f"+     {path} = {after}"


def fields(entry: Json) -> Iterator[str]:
    """What an update or a replacement changes, a line per value as Terraform shows it; nothing for
    what is created or deleted as a whole.
    """
    if action(entry) not in ("update", "replace"):
        return
    found = list(_differences(entry))
    later = [path for path, _, after in found if after == _LATER]
    for path, before, after in found:
        if path in later or path.startswith(tuple(f"{each}." for each in later)):
            continue  # what the workspace works out itself, mostly
        if before is None:
            yield f"+ {path} = {after}"
        elif after is None:
            if before != "0":  # which stands for nothing in what the workspace fills in
                yield f"- {path} = {before}"
        elif before == after:  # both are hidden
            yield f"~ {path} = {after}"
        else:
            yield f"~ {path} = {before} -> {after}"
    if later:
        few = ", ".join(later) if len(later) <= _FEW else f"{len(later)} values"
        yield f"known after the deploy: {few}"


def shown(path: str, value: object) -> str:
    """A value as readers may see it: secret references are, what may be a secret is not; a long
    one (a dashboard is one value) is cut.
    """
    if _PRIVATE.search(path) and not _REFERENCE.fullmatch(str(value)):
        return HIDDEN
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def moved(before: Json, after: Json, unknown: Any = None) -> list[str]:
    """Paths of the values that differ, but for those that only the workspace knows; zero and false
    are what the workspace fills in for nothing.
    """
    old, new = _values(before, None, None), _values(after, None, unknown)
    later = [path for path, (text, _) in new.items() if text == _LATER]
    within = tuple(f"{path}{mark}" for path in later for mark in ".[")
    return [
        path
        for path in sorted(old.keys() | new.keys())
        if (old.get(path, _NOTHING)[1] or None) != (new.get(path, _NOTHING)[1] or None)
        and path not in later
        and not path.startswith(within)
    ]


def named(paths: Iterable[str]) -> list[str]:
    """Paths as sentences name them: without the places in lists, each once."""
    return list(dict.fromkeys(_PLACE.sub("", path) for path in paths))


def blocks(parent: Json, name: str) -> list[Json]:
    """The blocks of one name; none where there is none, or nothing is known of it yet."""
    return [block or {} for block in parent.get(name) or []]


def first(parent: Json, name: str) -> Json:
    """The one block of a name, or an empty one."""
    return next(iter(blocks(parent, name)), {})


def unknown_part(unknown: Any, name: str, index: int) -> Any:
    """What of one block is known after the deploy only: ``True`` for all of it."""
    found = _part(unknown, name)
    return found if found is True else _part(found, index)


def _differences(entry: Json) -> Iterator[tuple[str, str | None, str | None]]:
    """(path, before, after) of each value that changes; None where there is none."""
    change = entry["change"]
    before = _values(change["before"], change.get("before_sensitive"), None)
    after = _values(change["after"], change.get("after_sensitive"), change.get("after_unknown"))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield path, before.get(path, _NOTHING)[0], after.get(path, _NOTHING)[0]


def _values(tree: Any, sensitive: Any, unknown: Any, path: str = "") -> dict[str, _Leaf]:
    """Leaves by path; what is empty is left out, as the provider has several ways to say so."""
    if sensitive is True:
        return {path: (HIDDEN, tree)}
    if unknown is True:
        return {path: (_LATER, None)}
    if isinstance(tree, Mapping) or isinstance(unknown, Mapping):
        found: dict[str, _Leaf] = {}
        for key in {**(tree or {}), **(unknown or {})}:
            value, hidden, later = (_part(each, key) for each in (tree, sensitive, unknown))
            found |= _values(value, hidden, later, f"{path}.{key}" if path else key)
        return found
    if isinstance(tree, list):
        found = {}
        for index, value in enumerate(tree):
            hidden, later = (_part(each, index) for each in (sensitive, unknown))
            found |= _values(value, hidden, later, f"{path}[{index}]")
        return found
    return {} if tree in (None, "") else {path: (shown(path, tree), tree)}


def _part(tree: Any, key: str | int) -> Any:
    """A member of a tree that may end earlier than the values do."""
    if isinstance(tree, Mapping):
        return tree.get(key)
    if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
        return tree[key]
    return None
