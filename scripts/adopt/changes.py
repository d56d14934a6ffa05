"""What a plan would change, in a few words each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One resource that the first deploy changes."""

    stack: str
    address: str
    action: str
    fields: tuple[str, ...]
    """What changes, each as ``path: before -> after``; empty where the resource is made anew."""

    @property
    def adds_only(self) -> bool:
        """Whether it only adds: a new resource, or values where there were none."""
        return self.action == "create" or all(
            field.partition(": ")[2].startswith("nothing -> ") for field in self.fields
        )

    def __str__(self) -> str:
        listed = f" ({'; '.join(self.fields)})" if self.fields else ""
        return f"{self.stack}: {self.action} {self.address}{listed}"


def changes(stack: str, plan: Mapping[str, Any]) -> list[Change]:
    """The changes of a plan; what is merely imported is none."""
    found = []
    for entry in plan.get("resource_changes", []):
        change = entry["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        action = "+".join(change["actions"])
        fields = tuple(_fields("", change["before"], change["after"])) if action == "update" else ()
        found.append(Change(stack, entry["address"], action, fields))
    return found


def held(plan: Mapping[str, Any]) -> set[str]:
    """Addresses that the state has already."""
    module = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    return {resource["address"] for resource in module.get("resources", [])}


def _fields(path: str, before: Any, after: Any) -> Iterator[str]:
    """The leaves that differ; values of environment variables are never shown."""
    if _plain(before) == _plain(after):
        return
    if isinstance(after, Mapping) and isinstance(before, Mapping):
        for key in sorted({*before, *after}):
            yield from _fields(f"{path}.{key}".lstrip("."), before.get(key), after.get(key))
    elif isinstance(after, list) and isinstance(before, list) and len(after) == len(before):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _fields(f"{path}[{number}]", one, other)
    elif "environment_vars" in path:
        yield f"{path}: changed"
    else:
        yield f"{path}: {_shown(_masked(before))} -> {_shown(_masked(after))}"


def _plain(value: Any) -> Any:
    return None if value in ("", [], {}) else value


def _masked(value: Any) -> Any:
    """A whole tree with the values of its environment variables hidden."""
    if isinstance(value, Mapping):
        return {
            key: dict.fromkeys(each or {}, "hidden") if key == "environment_vars" else _masked(each)
            for key, each in value.items()
        }
    return [_masked(each) for each in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str({key: each for key, each in value.items() if _plain(each) is not None})
    if isinstance(value, list):
        return "[" + ", ".join(_shown(each) for each in value) + "]" if value else "nothing"
    return "nothing" if _plain(value) is None else repr(value)
