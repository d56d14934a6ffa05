"""Who may do what with experiments, runs and logged models.

The MLflow server knows no principals. So every experiment that a call names, itself or by a run or
a logged model, is looked up here, and the caller needs the call's level on each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from ..core.errors import ApiError, not_found
from ..core.routing import Call
from ..objects import documents
from ..objects.documents import EXPERIMENT
from .mlflow_server import ask

READ, EDIT, MANAGE = EXPERIMENT.levels

_BASE = "/api/2.0/mlflow"
_EXPERIMENTS = ("experiment_id", "experiment_ids")
_RUNS = ("run_id", "run_ids", "run_uuid", "source_run_id")
_MODELS = ("model_id",)
_ID = re.compile(r"[\w-]{1,64}")


async def require(call: Call, level: str) -> None:
    """Refuse a call unless its principal has a level on every experiment that it names.

    Models that a run only refers to (``models`` of ``log-inputs`` and ``outputs``) need CAN_READ.

    Raises
    ------
    ApiError
        404 for what does not exist, 403 below the level.
    """
    given = [*call.request.query_params.multi_items(), *call.path.items(), *call.body.items()]
    for key, value in given:
        needed = READ if key == "models" else level
        for name, text in _named(_snake(key), value):
            experiment_id = await _experiment_of(call, name, text)
            documents.require(call.workspace, call.principal, EXPERIMENT, experiment_id, needed)


def _named(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Find the ids of experiments, runs and models in a value, however deep."""
    if isinstance(value, dict):
        for inner, below in value.items():
            yield from _named(_snake(inner), below)
    elif isinstance(value, list):
        for below in value:
            yield from _named(key, below)
    elif key in (*_EXPERIMENTS, *_RUNS, *_MODELS) and value not in (None, ""):
        yield key, str(value)


def _snake(key: str) -> str:
    """Return the name of a field: the server understands camel case as well."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key)


async def _experiment_of(call: Call, name: str, text: str) -> str:
    """Return the experiment that an id belongs to; runs and models never move to another."""
    if name in _EXPERIMENTS:
        return text
    known: dict[str, str] = call.workspace.runtime.setdefault("experiments_of", {})
    if text not in known:
        known[text] = await _looked_up(call, name, text)
    return known[text]


async def _looked_up(call: Call, name: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise not_found(f"{name} {text!r} does not exist.")
    if name in _MODELS:
        path, query, part = f"{_BASE}/logged-models/{text}", "", "model"
    else:
        path, query, part = f"{_BASE}/runs/get", urlencode({"run_id": text}), "run"
    answer = await ask(call.workspace, "GET", path, query)
    found = json.loads(bytes(answer.body))
    if answer.status_code != 200:
        code, message = found.get("error_code", "INTERNAL_ERROR"), found.get("message", "")
        raise ApiError(answer.status_code, code, message)
    return str(found[part]["info"]["experiment_id"])
