"""The recorded plans of the real provider, and a server that answers as the recorded one."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local_workspace.terraform.registry import RESOURCES
from infra.local_workspace.terraform.rest import ApiError
from infra.local_workspace.terraform.schema import Block, Nested
from infra.local_workspace.terraform.values import UNKNOWN, Unknown, Values, conform

_REPOSITORY = Path(__file__).parents[4]
FOLDER = Path(
    os.environ.get("SCGPT_PLAN_RECORDINGS", _REPOSITORY / "../shared/reference/plans")
).resolve()
FAMILIES = ("volume", "grant", "permissions", "model_serving", "model_serving_min", "scenario")


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
        """What is configured for the supported types, by address; references are ``${...}``."""
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
    return [Step(path.stem, json.loads(path.read_text())) for path in paths]


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
        if nested.mode != "timeouts" and name in config:
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
    if not (isinstance(one, list) and isinstance(two, list)):
        if one is not two:
            yield f"{path}: {one!r}, recorded {two!r}"
        return
    if nested.mode == "set":
        one, two = (sorted(each, key=_sortable) for each in (one, two))
    if len(one) != len(two):
        yield f"{path}: {len(one)} blocks, recorded {len(two)}"
    for index, (left, right) in enumerate(zip(one, two, strict=False)):
        yield from differences(nested.block, left, right, f"{path}[{index}].")


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


@dataclass
class RecordedServer:
    """Answers GETs from what was recorded, keeps what writes answered, and notes the writes."""

    objects: dict[str, Any] = field(default_factory=dict)
    answers: list[tuple[list[Any], list[Any]]] = field(default_factory=list)
    sent: list[list[Any]] = field(default_factory=list)
    metastore: str | None = None

    def load(self, step: Step) -> None:
        """Take over the answers of a step; what it read is what the server holds now."""
        for path, status, answer in step.content.get("reads", []):
            self.objects[path] = answer if status == 200 else None
        requests = step.content.get("requests", [])
        answers = step.content.get("answers") or [[200, echo(*each)] for each in requests]
        self.answers = list(zip(requests, answers, strict=True))
        self.sent = []
        self.metastore = next(
            (s["metastore_id"] for s in step.prior.values() if s.get("metastore_id")), None
        )

    def call(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        if method == "GET":
            found = self._get(path)
            if found is None:
                raise ApiError(404, f"{path} does not exist")
            return copy.deepcopy(found)
        self.sent.append([method, path, copy.deepcopy(body)])
        return self._write(method, path, body)

    def me(self, **_: Any) -> str:
        return "dev@example.com"

    def wait(self, seconds: float) -> None:
        raise AssertionError(f"the recorded server never makes anyone wait, here {seconds} s")

    def _get(self, path: str) -> Any:
        if path.startswith("/api/2.1/unity-catalog/permissions/"):
            return self.objects.get(path, {})
        if path.endswith("/current-metastore-assignment"):
            return {"metastore_id": self.metastore}
        return self.objects.get(path)

    def _write(self, method: str, path: str, body: Any) -> Any:
        for number, (request, (_, answer)) in enumerate(self.answers):
            if request[:2] == [method, path] and comparable(request[2]) == comparable(body):
                del self.answers[number]
                self._keep(method, path, body, copy.deepcopy(answer))
                return copy.deepcopy(answer)
        raise AssertionError(f"not recorded: {method} {path} {json.dumps(body)}")

    def _keep(self, method: str, path: str, body: Any, answer: Any) -> None:
        endpoint, _, part = path.removeprefix("/api/2.0/serving-endpoints/").partition("/")
        if method == "DELETE":
            self.objects.pop(path, None)
        elif path == "/api/2.0/serving-endpoints" or part == "config":
            answer["state"]["config_update"] = "NOT_UPDATING"
            answer["config"] = answer.pop("pending_config", answer.get("config"))
            self.objects[f"/api/2.0/serving-endpoints/{answer['name']}"] = answer
        elif part in ("tags", "ai-gateway"):
            held = self.objects[f"/api/2.0/serving-endpoints/{endpoint}"]
            content = answer.get("tags", []) if part == "tags" else answer
            held[part.replace("-", "_")] = content
        elif method == "POST":
            self.objects[f"{path}/{answer['full_name']}"] = answer
        elif path.startswith("/api/2.1/unity-catalog/permissions/"):
            self.objects[path] = _granted(self.objects.get(path, {}), body["changes"])
        elif "/permissions/" not in path:
            self.objects.pop(path, None)
            self.objects[f"{path.rpartition('/')[0]}/{answer['full_name']}"] = answer
        else:
            self.objects[path] = answer


def echo(method: str, path: str, body: Any) -> Any:
    """An answer for a family whose answers were not recorded."""
    answer = {**(body or {})}
    if path.startswith("/api/2.1/unity-catalog/"):
        parts = [answer[part] for part in ("catalog_name", "schema_name", "name") if part in answer]
        answer["full_name"] = ".".join(parts) or path.rpartition("/")[2]
        answer |= {"catalog_name": "main", "name": answer["full_name"].rpartition(".")[2]}
        answer |= {"enable_predictive_optimization": "INHERIT"}
    return {**answer, "state": {}} if "served_entities" in str(answer) else answer


def _granted(held: Any, changes: list[Any]) -> Any:
    """Privileges after a change: two grants on one object arrive in any order."""
    sets = {e["principal"]: {*e["privileges"]} for e in held.get("privilege_assignments", [])}
    for change in changes:
        now = sets.setdefault(change["principal"], set())
        now |= {*change.get("add", [])}
        now -= {*change.get("remove", [])}
    listed = [{"principal": who, "privileges": sorted(now)} for who, now in sets.items() if now]
    return {"privilege_assignments": listed}


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
