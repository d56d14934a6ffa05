"""Runs, metrics and logged models: each call with the level that it needs on its experiment.

The table is all that reaches the MLflow server besides experiments (:mod:`.experiments`).
"""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from ..core.routing import Call, Routes
from .access import EDIT, READ, require
from .mlflow_server import forward

routes = Routes()

_BASE = "/api/2.0/mlflow"
_MODEL = "logged-models/{model_id}"
_CALLS = {
    READ: (
        *("GET runs/get", "POST runs/search"),
        *("GET metrics/get-history", "GET metrics/get-history-bulk-interval"),
        *("POST logged-models/search", f"GET {_MODEL}"),
    ),
    EDIT: (
        *("POST runs/create", "POST runs/update", "POST runs/delete", "POST runs/restore"),
        *("POST runs/log-metric", "POST runs/log-parameter", "POST runs/log-batch"),
        *("POST runs/log-inputs", "POST runs/log-model", "POST runs/outputs"),
        *("POST runs/set-tag", "POST runs/delete-tag"),
        *("POST logged-models", f"PATCH {_MODEL}", f"DELETE {_MODEL}", f"POST {_MODEL}/params"),
        *(f"PATCH {_MODEL}/tags", f"DELETE {_MODEL}/tags/{{tag_key}}"),
        *("POST experiments/set-experiment-tag", "POST experiments/delete-experiment-tag"),
    ),
}


async def _checked(level: str, call: Call) -> Response:
    await require(call, level)
    return await forward(call)


for _level, _calls in _CALLS.items():
    for _call in _calls:
        _method, _path = _call.split()
        routes.add(_method, f"{_BASE}/{_path}")(partial(_checked, _level))
