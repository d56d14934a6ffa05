"""Refuse what MLflow would drop from a request in silence (ADR 7)."""

from __future__ import annotations

import ast
import inspect
import logging
import re
from collections.abc import Iterable

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.types.schema import Schema

from .. import contract
from ..errors import InvalidRequest


class _RefuseUnknownParams(logging.Filter):
    """Turns MLflow's warning about dropped params of this model into a refusal.

    MLflow drops params that the signature does not declare before ``predict`` is called, and only
    logs a warning; a misspelt param would change the answer in silence. The warning is the one
    public place where their names can be seen. It is acted upon only when the declared params that
    it lists are exactly ours, so other models in the process keep MLflow's behaviour.

    Parameters
    ----------
    known
        The params of this model.
    """

    def __init__(self, known: frozenset[str]) -> None:
        super().__init__()
        self._known = known

    warning = re.compile(
        r"Unrecognized params (\[.*?\]) are ignored for inference\. "
        r"Supported params are: (\{.*?\})\.",
        re.DOTALL,
    )

    def filter(self, record: logging.LogRecord) -> bool:
        found = self.warning.match(record.getMessage())
        if found and ast.literal_eval(found.group(2)) == self._known:
            try:
                contract.check_param_names(ast.literal_eval(found.group(1)), self._known)
            except InvalidRequest as error:
                raise MlflowException(error.tagged(), error_code=INVALID_PARAMETER_VALUE) from error
        return True


class _RefuseUnknownColumns(logging.Filter):
    """The same for columns: MLflow drops those that the signature does not declare.

    This warning lists only what was dropped. Whose columns they are says the schema that the
    warning function holds; where it cannot be found, MLflow's own behaviour is back.
    """

    warning = re.compile(r"Found extra inputs in the model input .*?: `(\[.*\])`", re.DOTALL)

    def filter(self, record: logging.LogRecord) -> bool:
        found = self.warning.match(record.getMessage())
        if found and _declared_columns() == {*contract.GUIDE_COLUMNS, contract.PACKED}:
            error = InvalidRequest(
                "unknown_column",
                f"{found.group(1)[1:-1][:200]}: no such column. Known: "
                f"{', '.join(contract.GUIDE_COLUMNS)}, or {contract.PACKED}; what is no column "
                "(task, genes, ...) belongs into params.",
            )
            raise MlflowException(error.tagged(), error_code=INVALID_PARAMETER_VALUE)
        return True


def _declared_columns() -> set[str]:
    """Return the columns of the model whose input MLflow is checking."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "_enforce_schema":
        frame = frame.f_back
    schema = frame.f_locals.get("input_schema") if frame is not None else None
    return set(map(str, schema.input_names())) if isinstance(schema, Schema) else set()


def refuse_what_mlflow_drops(known: Iterable[str]) -> None:
    """Refuse unknown columns, and params that are not `known`; installed once per process."""
    logger = logging.getLogger("mlflow.models.utils")
    for refusal in (_RefuseUnknownParams(frozenset(known)), _RefuseUnknownColumns()):
        # By name: a process may load a version twice, and each version has a package of its own.
        if not any(_name_of(type(f)) == _name_of(type(refusal)) for f in logger.filters):
            logger.addFilter(refusal)


def _name_of(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__
