"""The recorded plans of the real provider, and a server that answers as the recorded one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scgpt_databricks.local_workspace.stand_in_provider.rpc import RESOURCES
from scgpt_databricks.local_workspace.stand_in_provider.schema import Block, Nested
from scgpt_databricks.local_workspace.stand_in_provider.values import (
    UNKNOWN,
    Unknown,
    Values,
    conform,
)

_REPOSITORY = Path(__file__).parents[4]
FOLDER = Path(
    os.environ.get("SCGPT_PLAN_RECORDINGS", _REPOSITORY / "../shared/reference/plans")
).resolve()
FAMILIES = (
    *("volume", "grant", "permissions", "model_serving", "model_serving_min", "scenario"),
    *("mlflow_experiment", "sql_endpoint", "notification_destination", "alert_v2", "dashboard"),
    *("job", "query"),
)


@dataclass(frozen=True)
class Step:
    """One recorded plan and its apply."""

    name: str
    content: dict[str, Any]

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """The entries of supported types, by address."""
        entries: list[dict[str, Any]] = self.content["plan"]["resource_changes"]
        return {e["address"]: e for e in entries if e["type"] in RESOURCES}

    @property
    def prior(self) -> dict[str, Values]:
        """State of supported types after refresh."""
        return _resources(self.content["plan"].get("prior_state", {}))

    @property
    def stored(self) -> dict[str, Values]:
        """State of supported types before refresh."""
        drifted = self.content["plan"].get("resource_drift", [])
        before: dict[str, Values] = {
            e["address"]: e["change"]["before"] for e in drifted if e["type"] in RESOURCES
        }
        return self.prior | before

    @property
    def number(self) -> int:
        return int(self.name.split("-")[1])

    def config(self) -> dict[str, dict[str, Any]]:
        """Return the configured supported types, by address; references are ``${...}``."""
        if "config_hcl" in self.content:
            tree = parse_hcl(self.content["config_hcl"], self.content.get("variables", {}))
        else:
            tree = self.content["config"].get("resource", {})
        return {
            f"{kind}.{name}": value
            for kind, named in tree.items()
            if kind in RESOURCES
            for name, value in named.items()
        }


def steps(family: str) -> list[Step]:
    """All steps of one family, in order."""
    paths = sorted(FOLDER.glob(f"{family}-[0-9][0-9]-*.json"))
    return [Step(path.stem, _as_sent(json.loads(path.read_text()))) for path in paths]


def _as_sent(content: dict[str, Any]) -> dict[str, Any]:
    """Without the defaults that the recorded server put into a new job before it was noted."""
    for _, path, body in content.get("requests", []):
        for task in body["tasks"] if path.endswith("/jobs/create") else ():
            for filled_in in ("run_if", "timeout_seconds", "email_notifications"):
                del task[filled_in]
    return content


def _resources(state: dict[str, Any]) -> dict[str, Values]:
    listed = state.get("values", {}).get("root_module", {}).get("resources", [])
    return {each["address"]: each["values"] for each in listed if each["type"] in RESOURCES}


def planned(change: dict[str, Any]) -> Values:
    """The recorded planned values, with what is unknown put in."""
    values: Values = _with_unknown(change["after"], change["after_unknown"])
    return values


def _with_unknown(value: Any, unknown: Any) -> Any:
    if unknown is True:
        return UNKNOWN
    if isinstance(unknown, dict) and isinstance(value, dict):
        return {k: _with_unknown(value.get(k), unknown.get(k)) for k in {*value, *unknown}}
    if isinstance(unknown, list) and isinstance(value, list):
        return [_with_unknown(v, u) for v, u in zip(value, unknown, strict=True)]
    return value


def resolve(value: Any, known: dict[str, Values]) -> Any:
    """Replace references by the referenced resource's values; unknown where there is none yet."""
    if isinstance(value, str) and (match := re.fullmatch(r"\$\{(\w+\.\w+)\.(\w+)\}", value)):
        return known.get(match[1], {}).get(match[2], UNKNOWN)
    if isinstance(value, dict):
        return {key: resolve(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, known) for inner in value]
    return value


def as_terraform(block: Block, config: dict[str, Any]) -> Values:
    """The configuration as core passes it: blocks as lists, all fields present."""
    shaped = dict(config)
    for name, nested in block.blocks.items():
        if nested.mode == "struct" and name in config:
            shaped[name] = as_terraform(nested.block, config[name])
        elif nested.mode != "timeouts" and name in config:
            given = config[name] if isinstance(config[name], list) else [config[name]]
            shaped[name] = [as_terraform(nested.block, element) for element in given]
    return conform(block, shaped)


def differences(block: Block, ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Each attribute in which two states or plans differ; sets are compared as sets."""
    if isinstance(ours, Unknown) or isinstance(theirs, Unknown) or ours is None or theirs is None:
        if ours is not theirs:
            yield f"{path or '.'}: {ours!r}, recorded {theirs!r}"
        return
    for name, attribute in block.attributes.items():
        one, two = ours.get(name), theirs.get(name)
        if attribute.type == "string_set" and isinstance(one, list) and isinstance(two, list):
            one, two = sorted(one), sorted(two)
        if one != two or type(one) is not type(two):
            yield f"{path}{name}: {one!r}, recorded {two!r}"
    for name, nested in block.blocks.items():
        yield from _block_differences(nested, ours.get(name), theirs.get(name), f"{path}{name}")


def _block_differences(nested: Nested, one: Any, two: Any, path: str) -> Iterator[str]:
    if nested.mode == "struct":
        yield from differences(nested.block, one, two, f"{path}.")
        return
    if not (isinstance(one, list) and isinstance(two, list)):
        if one is not two:
            yield f"{path}: {one!r}, recorded {two!r}"
        return
    if nested.mode in ("set", "struct_set"):
        one, two = (sorted(each, key=_sortable) for each in (one, two))
    if len(one) != len(two):
        yield f"{path}: {len(one)} blocks, recorded {len(two)}"
    for index, (left, right) in enumerate(zip(one, two, strict=False)):
        yield from differences(nested.block, left, right, f"{path}[{index}].")


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def comparable(body: Any) -> Any:
    """A request's body with its sets in one order."""
    if isinstance(body, dict):
        return {key: comparable(value) for key, value in body.items()}
    if isinstance(body, list):
        unordered = not body or "entity_name" not in body[0]
        return sorted(map(comparable, body), key=_sortable) if unordered else body
    return body


def parse_hcl(text: str, variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The resources of a recorded ``.tf`` file: as much of the language as the recordings use."""
    tokens = re.findall(r'"[^"]*"|[\w.]+|[{}\[\]=,\n]', text)
    tree: dict[str, dict[str, Any]] = {}
    reader = _Hcl(tokens, variables)
    while reader.skip():
        kind, *labels = reader.header()
        content = reader.body()
        if kind == "resource":
            tree.setdefault(labels[0], {})[labels[1]] = content
    return tree


class _Hcl:
    def __init__(self, tokens: list[str], variables: dict[str, str]) -> None:
        self._tokens, self._variables = tokens, variables

    def skip(self) -> bool:
        while self._tokens and self._tokens[0] in ("\n", ","):
            self._tokens.pop(0)
        return bool(self._tokens)

    def header(self) -> list[str]:
        """A block's type and labels, up to its brace."""
        words = []
        while self._tokens[0] != "{":
            words.append(self._tokens.pop(0).strip('"'))
        return words

    def body(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        self._tokens.pop(0)
        while self.skip() and self._tokens[0] != "}":
            if self._tokens[1] == "=":
                name = self._tokens.pop(0)
                self._tokens.pop(0)
                content[name] = self._value()
            else:
                name = self.header()[0]
                content.setdefault(name, []).append(self.body())
        self._tokens.pop(0)
        return content

    def _value(self) -> Any:
        token = self._tokens[0]
        if token == "{":
            return self.body()
        self._tokens.pop(0)
        if token == "[":
            items = []
            while self.skip() and self._tokens[0] != "]":
                items.append(self._value())
            self._tokens.pop(0)
            return items
        if token.startswith('"'):
            return token.strip('"')
        if token in ("true", "false"):
            return token == "true"
        if token.startswith("var."):
            return self._variables[token[4:]]
        return int(token) if token.isdigit() else f"${{{token}}}"
