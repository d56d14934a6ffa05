"""A plan as lines of a diff, for readers: no value that is or may be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

HIDDEN = "(hidden)"

_LONGEST = 200
_LATER = "(known after the deploy)"
_SIGNS = {"create": "+", "delete": "-", "update": "!", "import": "!"}
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
    change, what = entry["change"], action(entry)
    first = "import, then " if imported(entry) and what != "import" else ""
    yield f"{_SIGNS.get(what, '!')} {entry['address']}: {first}{what}"
    before = _values(change["before"], change.get("before_sensitive"), None)
    after = _values(change["after"], change.get("after_sensitive"), change.get("after_unknown"))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        # A created resource has dozens of values that only the workspace knows.
        if path in before:
            yield f"-     {path} = {before[path]}"
        if path in after and not (after[path] == _LATER and what == "create"):
            yield f"+     {path} = {after[path]}"


def shown(path: str, value: object) -> str:
    """A value as readers may see it: secret references are, what may be a secret is not; a long
    one (a dashboard is one value) is cut.
    """
    if _PRIVATE.search(path) and not _REFERENCE.fullmatch(str(value)):
        return HIDDEN
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _values(tree: Any, sensitive: Any, unknown: Any, path: str = "") -> dict[str, str]:
    """Leaves by path; what is empty is left out, as the provider has several ways to say so."""
    if sensitive is True:
        return {path: HIDDEN}
    if unknown is True:
        return {path: _LATER}
    if isinstance(tree, Mapping) or isinstance(unknown, Mapping):
        found: dict[str, str] = {}
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
    return {} if tree in (None, "") else {path: shown(path, tree)}


def _part(tree: Any, key: str | int) -> Any:
    """A member of a tree that may end earlier than the values do."""
    if isinstance(tree, Mapping):
        return tree.get(key)
    if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
        return tree[key]
    return None
