"""A plan as lines of a diff, for readers: no value that is or may be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from scgpt_databricks.infra.plan import Change, Json, Leaf, Name, Path, leaves

HIDDEN = "(hidden)"

_LONGEST = 200
_FEW = 3
_LATER = "(known after the deploy)"
_SIGNS = {"create": "+", "delete": "-", "update": "!", "import": "!"}
_PLACE = re.compile(r"\[[^\]]*\]")
_REFERENCE = re.compile(r"\{\{secrets/[^{}\s]+\}\}")
# Whoever changed an endpoint by hand may have put a key into a plain variable.
_PRIVATE = re.compile(
    r"(^|\.)environment_vars\.|secret|token|passw|credential|api_?key|private_?key", re.I
)


def action(change: Change) -> str:
    """Return ``create``, ``update``, ``delete``, ``replace``, or ``import`` alone."""
    if change.action == "import":
        return "import"
    return "replace" if change.replaced else change.actions[0]


def lines(change: Change) -> Iterator[str]:
    """Yield a line that names the resource, then a line per value, as a diff shows it."""
    what = action(change)
    first = "import, then " if change.importing and what != "import" else ""
    yield f"{_SIGNS.get(what, '!')} {change.address}: {first}{what}"
    for path, before, after in _differences(change):
        # A created resource has dozens of values that only the workspace knows.
        if before is not None:
            yield f"-     {path} = {before}"
        if after is not None and not (after == _LATER and what == "create"):
            yield f"+     {path} = {after}"


def fields(change: Change) -> Iterator[str]:
    """Yield a line per value that changes, as Terraform shows it.

    A creation has those that are declared. A resource that is deleted as a whole has none.
    """
    what, found = action(change), list(_differences(change))
    if what == "create":
        yield from (f"+ {path} = {after}" for path, _, after in found if after != _LATER)
    if what not in ("update", "replace"):
        return
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
    """Return a value as readers may see it.

    References to secrets are shown, what may be a secret is not. A long value (a dashboard is one)
    is cut.
    """
    if _PRIVATE.search(path) and not _REFERENCE.fullmatch(str(value)):
        return HIDDEN
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def moved(before: Json, after: Json, unknown: Any = None) -> list[str]:
    """Return the paths of the values that differ, but for those that only the workspace knows.

    Zero and false are what the workspace fills in for nothing.
    """
    old, new = dict(leaves(before)), dict(leaves(after, unknown=unknown))
    later = {path for path, leaf in new.items() if leaf.unknown and path}
    return sorted(
        _written(path)
        for path in old.keys() | new.keys()
        if (_value(old, path) or None) != (_value(new, path) or None)
        and not any(path[: len(each)] == each for each in later)
    )


def named(paths: Iterable[str]) -> list[str]:
    """Return paths as sentences name them: without the places in lists, each once."""
    return list(dict.fromkeys(_PLACE.sub("", path) for path in paths))


def _differences(change: Change) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (path, before, after) of each value that changes; None where there is none."""
    before, after = change.leaves_before(), change.leaves_after()
    for text, path in sorted((_written(path), path) for path in before.keys() | after.keys()):
        if (old := before.get(path)) != (new := after.get(path)):
            yield text, _shown(text, old), _shown(text, new)


def _shown(path: str, leaf: Leaf | None) -> str | None:
    if leaf is None:
        return None
    if leaf.sensitive:
        return HIDDEN
    return _LATER if leaf.unknown else shown(path, leaf.value)


def _value(found: dict[Path, Leaf], path: Path) -> Any:
    return found[path].value if path in found else None


def _written(path: Path) -> str:
    """Return a path as ``config[0].name`` or ``access_control[scientists].permission_level``."""
    places = (int, Name)
    return "".join(f"[{each}]" if isinstance(each, places) else f".{each}" for each in path)[1:]
