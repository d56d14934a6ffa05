"""A plan in a file: is it one, as Terraform writes it?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.infra.guards import ENDPOINT, Json

_HOW = "`terraform plan -out=PLANFILE`, then `terraform show -json PLANFILE`"

_Action = Literal["no-op", "create", "read", "update", "delete", "forget", "open"]
_Side = TypeVar("_Side")


class PlanFileError(DeployError):
    """What was given is no plan."""

    exit_code = 2


# The shape that guards rely on; Terraform writes more. Blocks are lists, and an element of which
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


class _Change(BaseModel, Generic[_Side]):
    actions: Annotated[list[_Action], Field(min_length=1)]
    before: _Side | None
    after: _Side | None
    after_unknown: dict[str, Any] | bool = False
    replace_paths: list[list[Any]] = []


class _Entry(BaseModel, Generic[_Side]):
    address: str
    mode: str
    type: str
    provider_name: str = ""
    change: _Change[_Side]


def read(path: Path) -> Json:
    """The plan in a file (``-``: on stdin), with the shape that guards rely on.

    Raises
    ------
    PlanFileError
        When it cannot be read, or is not what ``terraform show -json PLANFILE`` prints.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise PlanFileError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PlanFileError(
            f"{path}: no JSON: give what `terraform show -json PLANFILE` prints"
        ) from error
    if not isinstance(document, dict) or "format_version" not in document:
        raise PlanFileError(f"{path}: no plan: give what `terraform show -json PLANFILE` prints")
    # A plan that changes nothing has no resource_changes.
    if not {"resource_changes", "planned_values"} & document.keys():
        raise PlanFileError(
            f"{path}: a state, no plan (`terraform show -json` without a plan file prints the "
            f"state): make a plan with {_HOW}"
        )
    _check_shape(path, document.get("resource_changes", []))
    return document


def _check_shape(path: Path, entries: Any) -> None:
    foreign = f"{path}: not what Terraform writes: resource_changes"
    if not isinstance(entries, list):
        raise PlanFileError(f"{foreign} is no list: make a plan with {_HOW}")
    for number, entry in enumerate(entries):
        of_endpoint = isinstance(entry, dict) and entry.get("type") == ENDPOINT
        try:
            (_Entry[_Endpoint] if of_endpoint else _Entry[dict[str, Any]]).model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = "".join(f".{part}" for part in (number, *first["loc"]))
            raise PlanFileError(
                f"{foreign}{where}: {first['msg']}: make a plan with {_HOW}"
            ) from error
