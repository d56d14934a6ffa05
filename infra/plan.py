"""The one reader of Terraform's plans, as ``terraform show -json PLANFILE`` prints them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import DeployError

Json = Mapping[str, Any]
Path = tuple[str | int, ...]

_NAMED_BY = {
    "access_control": ("group_name", "user_name", "service_principal_name"),
    "tags": ("key",),
    "custom_tags": ("key",),
}
"""Blocks without an order -> the attributes one of which tells an entry from the others."""

ENDPOINT = "databricks_model_serving"

_HOW = "make a plan with `terraform plan -out=PLANFILE`, then `terraform show -json PLANFILE`"
_HIDDEN = "(sensitive)"
_NOISE = {"created_at", "created_by", "updated_at", "updated_by", "create_time", "update_time"}
"""The workspace stamps them on resources that nobody changes."""


class PlanError(DeployError):
    """A document is no plan."""

    exit_code = 2


def _in_change(name: str) -> Any:
    return AliasPath("change", name)


_Action = Literal["no-op", "create", "read", "update", "delete", "forget", "open"]
# Null where the resource does not exist, or nothing is unknown.
_Values = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {}), Field(repr=False)]


class Change(BaseModel):
    """One resource of a plan, and what is done to it. Its values may be secret: repr hides them."""

    model_config = ConfigDict(frozen=True)

    address: str
    mode: str
    type: str
    provider: str = Field("", validation_alias="provider_name")
    reason: str | None = Field(None, validation_alias="action_reason")
    actions: tuple[_Action, ...] = Field(min_length=1, validation_alias=_in_change("actions"))
    """Two for a replacement."""
    before: _Values = Field(validation_alias=_in_change("before"))
    after: _Values = Field(validation_alias=_in_change("after"))
    unknown: _Values = Field({}, validation_alias=_in_change("after_unknown"))
    """True in the place of each value that is known only after the apply."""
    sensitive_before: Any = Field(None, validation_alias=_in_change("before_sensitive"))
    sensitive_after: Any = Field(None, validation_alias=_in_change("after_sensitive"))
    importing: dict[str, Any] | None = Field(None, validation_alias=_in_change("importing"))
    replace_paths: list[list[Any]] = Field([], validation_alias=_in_change("replace_paths"))
    configured: dict[str, Any] = Field({}, repr=False)
    """Expressions of the configuration: what is absent here, ``after`` has from before."""

    @property
    def action(self) -> str:
        """The actions in one word, such as ``update``, ``delete+create`` or ``import+update``."""
        done = [each for each in self.actions if each != "no-op"]
        return "+".join(["import", *done] if self.importing else done)

    @property
    def replaced(self) -> bool:
        """True where the resource is deleted and made anew."""
        return len(self.actions) == 2

    @property
    def created(self) -> bool:
        """True where the resource is made and none was there."""
        return self.actions == ("create",)

    def leaves_before(self) -> dict[Path, Leaf]:
        """Return the values before the change by path."""
        return dict(leaves(self.before, self.sensitive_before))

    def leaves_after(self) -> dict[Path, Leaf]:
        """Return the values after the change by path."""
        return dict(leaves(self.after, self.sensitive_after, self.unknown))

    @property
    def difference(self) -> dict[str, dict[str, Any]]:
        """The fields that change, before and after; sensitive values are hidden."""
        before = _visible(self.before, self.sensitive_before)
        after = _visible(self.after, self.sensitive_after)
        unknown = {key: value for key, value in self.unknown.items() if value}
        changed = {
            key
            for key in {*before, *after, *unknown} - _NOISE
            if key in unknown or before.get(key) != after.get(key)
        }
        sides = {"before": before, "after": after, "after_unknown": unknown}
        return {
            name: {key: values[key] for key in changed & values.keys()}
            for name, values in sides.items()
        }


@dataclass(frozen=True)
class Plan:
    """A plan: the resources of one stack, and what is done to each."""

    resources: tuple[Change, ...] = field(default=(), repr=False)
    """All that Terraform manages, in the plan's order; most of them may stay as they are."""
    held: frozenset[str] = field(default=frozenset(), repr=False)
    """Addresses that the state has already."""
    errored: bool = False
    complete: bool = True

    @classmethod
    def of(cls, document: Any) -> Plan:
        """Read a plan.

        Raises
        ------
        PlanError
            When the document is not what ``terraform show -json PLANFILE`` prints.
        """
        if not isinstance(document, dict) or "format_version" not in document:
            raise PlanError("no plan: give what `terraform show -json PLANFILE` prints")
        # A plan that changes nothing has no resource_changes.
        if not {"resource_changes", "planned_values"} & document.keys():
            raise PlanError(
                "a state, no plan (`terraform show -json` without a plan file prints the state): "
                + _HOW
            )
        entries = document.get("resource_changes", [])
        if not isinstance(entries, list):
            raise PlanError(f"not what Terraform writes: resource_changes is no list: {_HOW}")
        try:
            configured = dict(_configured(document.get("configuration")))
        except (AttributeError, TypeError, ValueError) as error:
            raise PlanError(f"not what Terraform writes: configuration: {_HOW}") from error
        found = [_change(number, entry, configured) for number, entry in enumerate(entries)]
        try:
            state = document.get("prior_state", {}).get("values", {}).get("root_module", {})
            held = frozenset(resource["address"] for resource in state.get("resources", []))
        except (AttributeError, TypeError, KeyError) as error:
            raise PlanError(f"not what Terraform writes: prior_state: {_HOW}") from error
        return cls(
            tuple(each for each in found if each.mode == "managed" and each.actions != ("read",)),
            held,
            errored=bool(document.get("errored")),
            # Older releases of Terraform do not say.
            complete=document.get("complete") is not False,
        )

    @property
    def changes(self) -> tuple[Change, ...]:
        """The resources for which there is something to apply; an import alone is one."""
        return tuple(each for each in self.resources if each.action)


class Name(str):
    """A part of a path: an entry of a list that is found by its name, not by its place."""


class Leaf(NamedTuple):
    """One value of a resource."""

    value: Any
    sensitive: bool = False
    unknown: bool = False


def leaves(
    tree: Any, sensitive: Any = None, unknown: Any = None, path: Path = ()
) -> Iterator[tuple[Path, Leaf]]:
    """Walk the values of a tree by path.

    A part that is sensitive or unknown as a whole is one leaf. Empty parts are left out, as the
    provider has several ways to write them. Entries of access lists and tags go by their names.
    """
    if sensitive is True or unknown is True:
        yield path, Leaf(tree, sensitive is True, unknown is True)
    elif keys := dict.fromkeys([*_keys(tree), *_keys(unknown)]):
        named = _names(tree, path)
        for key in keys:
            value, hidden, later = (part(each, key) for each in (tree, sensitive, unknown))
            yield from leaves(value, hidden, later, (*path, named.get(key, key)))
    elif tree not in (None, "", [], {}):
        yield path, Leaf(tree)


def _names(tree: Any, path: Path) -> dict[str | int, Name]:
    """Return the names of a list's entries by place; none where two share one."""
    if not (path and isinstance(tree, list)):
        return {}
    found = [
        next((entry[by] for by in _NAMED_BY.get(str(path[-1]), ()) if entry.get(by)), None)
        for entry in tree
        if isinstance(entry, Mapping)
    ]
    if not all(found) or len({*found}) < len(tree):
        return {}
    return {place: Name(name) for place, name in enumerate(found)}


def part(tree: Any, key: str | int) -> Any:
    """Return a member of a tree that may end earlier than the values do; True stands for all."""
    if tree is True:
        return True
    if isinstance(tree, Mapping):
        return tree.get(key)
    if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
        return tree[key]
    return None


def blocks(parent: Json, name: str) -> list[Json]:
    """Return the blocks of one name; ``{}`` stands for a block of which nothing is known."""
    return [block or {} for block in parent.get(name) or []]


def block(parent: Json, name: str) -> Json:
    """Return a block that occurs at most once; ``{}`` where it is absent."""
    return next(iter(blocks(parent, name)), {})


def _keys(tree: Any) -> Iterable[str | int]:
    if isinstance(tree, Mapping):
        return tree.keys()
    return range(len(tree)) if isinstance(tree, list) else ()


def _visible(value: Any, sensitive: Any) -> Any:
    """Return the value with its sensitive parts hidden."""
    if sensitive is True:
        return _HIDDEN
    if isinstance(value, dict):
        return {key: _visible(each, part(sensitive, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_visible(each, part(sensitive, index)) for index, each in enumerate(value)]
    return value


# The shape that guards rely on; Terraform writes more. Blocks are lists, and a block of which
# nothing is known before the apply is null.
class _Entity(BaseModel):
    name: str | None = None
    entity_name: str | None = None
    entity_version: str | None = None
    environment_vars: dict[str, str | None] | None = None
    workload_type: str | None = None


class _Route(BaseModel):
    traffic_percentage: int | None = None


class _Traffic(BaseModel):
    routes: list[_Route | None] | None = None


class _Config(BaseModel):
    served_entities: list[_Entity | None] | None = None
    traffic_config: list[_Traffic | None] | None = None


class _Gateway(BaseModel):
    inference_table_config: list[dict[str, Any] | None] | None = None
    usage_tracking_config: list[dict[str, Any] | None] | None = None


class _Endpoint(BaseModel):
    config: list[_Config | None] | None = None
    ai_gateway: list[_Gateway | None] | None = None
    timeouts: dict[str, str | None] | None = None


def _configured(configuration: Any) -> Iterator[tuple[str, Json]]:
    """Yield the expressions of each resource by its address, without places and keys."""
    modules = [("", part(configuration, "root_module"))]
    for prefix, module in modules:  # which grows
        for resource in part(module, "resources") or []:
            yield prefix + str(resource.get("address")), resource.get("expressions") or {}
        for name, call in (part(module, "module_calls") or {}).items():
            modules.append((f"{prefix}module.{name}.", part(call, "module")))


_INDEX = re.compile(r"\[[^\]]*\]")


def _change(number: int, entry: Any, configured: Mapping[str, Json]) -> Change:
    """Read one entry of a plan; of an endpoint, check the values that guards look at."""
    place: Path = (number,)
    try:
        change = Change.model_validate(entry)
        expressions = configured.get(_INDEX.sub("", change.address), {})
        change = change.model_copy(update={"configured": expressions})
        if change.type == ENDPOINT:
            for side, values in (("before", change.before), ("after", change.after)):
                place = (number, "change", side)
                _Endpoint.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, (*place, *first["loc"])))
        raise PlanError(
            f"not what Terraform writes: resource_changes.{where}: {first['msg']}: {_HOW}"
        ) from error
    return change
