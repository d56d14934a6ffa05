"""Bodies of requests read by a signature, and answers of a model written by it.

A body is one row, a list of rows, or an object with rows and params: ``dataframe_records`` holds
them where columns have names (``rows`` where a column has that name), ``inputs`` where they have
none. MLflow's own server reads the last form as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, DataType, Map, Object, Schema, TensorSpec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticSerializationError, from_json, to_json

from .problems import Fault, Problem, Refusal, pointer
from .typed import get_req_resp_signatures, schema_to_pydantic

REF = "#/components/schemas/{model}"
_MOST_FAULTS = 20
_DTYPES = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
    DataType.datetime: "datetime64[ns]",
}
_NEVER_NULL = (DataType.integer, DataType.long)
_NARROW = {DataType.integer: np.int32, DataType.float: np.float32}


@dataclass(frozen=True)
class Question:
    """A request that was read.

    Parameters
    ----------
    data
        As ``predict`` takes it: a DataFrame, an array, or arrays by name.
    rows
        Their number.
    params
        Those that were sent.
    client_request_id
        The caller's own name for the request.
    around
        Bytes before and after its body that make it the form that MLflow's servers read.
    """

    data: Any
    rows: int
    params: dict[str, Any]
    client_request_id: str | None = None
    around: tuple[bytes, bytes] = (b"", b"")


class Api:
    """The typed side of one signature.

    Parameters
    ----------
    signature
        Of a model version.
    """

    def __init__(self, signature: ModelSignature) -> None:
        self.signature = signature
        self.row, self.answer = get_req_resp_signatures(signature)
        self.params = (
            schema_to_pydantic(signature.params, name="Params") if signature.params else None
        )
        inputs = signature.inputs
        self._named = inputs is None or inputs.has_input_names()
        columns = inputs.input_names() if inputs is not None and self._named else []
        keys = ("dataframe_records", "rows", "rows_") if self._named else ("inputs",)
        self.rows_key = next(key for key in keys if key not in columns)
        self._before = to_json(self.rows_key).join((b"{", b": "))
        many = (list[self.row], Field(min_length=1))  # type: ignore[name-defined]
        params: dict[str, Any] = {"params": (self.params | None, None)} if self.params else {}
        self.request: type[BaseModel] = create_model(
            "RowsAndParams",
            __config__=ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True),
            **{self.rows_key: many, **params, "client_request_id": (str | None, None)},
        )

    @cached_property
    def _rows(self) -> TypeAdapter[Any]:
        return TypeAdapter(list[self.row])  # type: ignore[name-defined]

    @cached_property
    def _answers(self) -> TypeAdapter[Any]:
        return TypeAdapter(list[self.answer])  # type: ignore[name-defined]

    def read(self, body: bytes) -> Question:
        """Read a body.

        Raises
        ------
        Refusal
            400 ``malformed_json``; 422 ``invalid_body`` with the path of each fault.
        """
        try:
            sent = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise Refusal(
                400, "malformed_json", f"The body is no JSON (RFC 8259): {error}. NaN is none."
            ) from error
        params: dict[str, Any] = {}
        client_request_id, around = None, (b"", b"")
        try:
            if isinstance(sent, dict) and self.rows_key in sent:
                whole: Any = self.request.model_validate(sent)
                rows = getattr(whole, self.rows_key)
                client_request_id = whole.client_request_id
                given = getattr(whole, "params", None)
                params = _plain(given) if given is not None else {}
            elif isinstance(sent, list) and (self._named or self._is_many(sent)):
                rows = self._rows.validate_python(sent)
                around = self._before, b"}"
            else:
                rows = [self.row.model_validate(sent)]
                around = self._before + b"[", b"]}"
        except ValidationError as error:
            raise _invalid(error) from error
        except RecursionError as error:
            raise Refusal(400, "malformed_json", "The body is nested too deeply.") from error
        if not rows:
            raise _faulty("", "the body holds no row; send one or more")
        path = f"/{self.rows_key}" if isinstance(sent, dict) and self.rows_key in sent else ""
        data = _data([_plain(row) for row in rows], self.signature.inputs, path)
        return Question(data, len(rows), params, client_request_id, around)

    def _is_many(self, sent: list[Any]) -> bool:
        """Tell a list of unnamed rows from one such row, which may be a list itself."""
        try:
            self.row.model_validate(sent)
        except ValidationError:
            return True
        try:
            self._rows.validate_python(sent)
        except ValidationError:
            return False
        return True

    def write(self, rows: Sequence[Any]) -> bytes:
        """Write rows of an answer as JSON; numbers that are none become null.

        Raises
        ------
        Refusal
            500 ``answer_differs``: the model does not answer as its signature says.
        """
        try:
            text = to_json(list(rows), inf_nan_mode="null", bytes_mode="base64", fallback=_builtin)
            self._answers.validate_json(text)
        except (ValidationError, PydanticSerializationError) as error:
            faults = _faults(error) if isinstance(error, ValidationError) else None
            raise Refusal(
                500,
                "answer_differs",
                "The model's answer does not follow its signature; log the version again with "
                "a signature that fits.",
                faults=faults,
            ) from error
        return text

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return the JSON schemas of a body, of an answer, and the components that both name."""
        models: list[type[BaseModel]] = [self.row, self.request]
        found, shared = models_json_schema(
            [
                *((model, "validation") for model in models),
                (self.answer, "validation"),
                (Problem, "validation"),
            ],
            ref_template=REF,
        )
        row, request = (found[(model, "validation")] for model in models)
        body = {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}, request]}
        answer = {"type": "array", "items": found[(self.answer, "validation")]}
        return body, answer, shared.get("$defs", {})


def to_rows(found: Any, schema: Schema | None, count: int) -> list[Any]:
    """Return what a model answered as rows.

    Parameters
    ----------
    found
        A DataFrame, a Series, an array, a list, arrays or lists by name, or one value.
    schema
        Outputs of the signature.
    count
        Rows that were asked.
    """
    names = schema.input_names() if schema is not None and schema.has_input_names() else None
    if isinstance(found, pd.DataFrame):
        if schema is not None and names is None:
            rows = found.to_numpy(dtype=object).tolist()
            return [row[0] for row in rows] if len(found.columns) == 1 else rows
        return found.to_dict("records")
    if isinstance(found, Mapping):
        columns = {name: _listed(values) for name, values in found.items()}
        if all(isinstance(each, list) and len(each) == count for each in columns.values()):
            rows = zip(*columns.values(), strict=True)  # type: ignore[assignment]
            return [dict(zip(columns, row, strict=True)) for row in rows]
        return [dict(found)]
    rows = _listed(found)
    if not isinstance(rows, list):
        rows = [rows]
    if names is None or all(isinstance(row, dict) for row in rows):
        return rows
    if len(names) == 1 and not (isinstance(rows[0], list) and isinstance(found, np.ndarray)):
        return [{names[0]: row} for row in rows]
    if len(names) == 1:
        flat = [row[0] if len(row) == 1 else row for row in rows]
        return [{names[0]: row} for row in flat]
    return [dict(zip(names, row, strict=True)) if isinstance(row, list) else row for row in rows]


def _listed(values: Any) -> Any:
    return values.tolist() if isinstance(values, (np.ndarray, np.generic, pd.Series)) else values


def _builtin(value: Any) -> Any:
    """Return numpy's and pandas' values as Python's."""
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.datetime64):
        return pd.Timestamp(value).isoformat()
    if isinstance(value, (np.ndarray, np.generic, pd.Series)):
        return value.tolist()
    if isinstance(value, pd.DataFrame):
        return value.to_dict("records")
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _plain(row: BaseModel) -> Any:
    """Return a validated row as MLflow takes it; null is left out, as if it had not been sent."""
    dumped = row.model_dump(by_alias=True, exclude_unset=True)
    if not isinstance(dumped, dict):
        return dumped
    return {name: value for name, value in dumped.items() if value is not None}


def _data(rows: list[Any], schema: Schema | None, path: str) -> Any:
    if schema is None:
        return pd.DataFrame(rows)
    if schema.is_tensor_spec():
        return _tensors(rows, schema, path)
    columns = [
        (i if spec.name is None else spec.name, spec) for i, spec in enumerate(schema.inputs)
    ]
    if not schema.has_input_names():
        rows = [row if len(columns) > 1 else (row,) for row in rows]
        rows = [dict(enumerate(row)) for row in rows]
    series = {}
    for name, spec in columns:
        values = [row.get(name) for row in rows]
        if all(value is None for value in values) and not spec.required:
            continue
        if spec.type in _NEVER_NULL and any(value is None for value in values):
            at = next(i for i, value in enumerate(values) if value is None)
            raise _faulty(
                f"{path}{pointer([at, name])}",
                "whole numbers have no missing value: give this column in every row or in none",
            )
        series[name] = _series(values, spec.type)
    # Rows that name no column at all are rows still.
    return pd.DataFrame(series, index=pd.RangeIndex(len(rows)))


def _series(values: list[Any], kind: Any) -> pd.Series[Any]:
    if not isinstance(kind, DataType):
        return pd.Series([_native(value, kind) for value in values], dtype=object)
    if kind == DataType.datetime:
        values = [None if value is None else value.replace(tzinfo=None) for value in values]
    dtype = _DTYPES.get(kind, "object")
    if kind == DataType.boolean and any(value is None for value in values):
        dtype = "object"
    return pd.Series(values, dtype=dtype)


def _native(value: Any, kind: Any) -> Any:
    """Return a nested value with the types that MLflow's check takes for it."""
    if value is None:
        return None
    if isinstance(kind, Array):
        if isinstance(kind.dtype, DataType) and kind.dtype in _NARROW:
            return np.asarray(value, dtype=_NARROW[kind.dtype])
        return [_native(each, kind.dtype) for each in value]
    if isinstance(kind, Map):
        return {key: _native(each, kind.value_type) for key, each in value.items()}
    if isinstance(kind, Object):
        kinds = {each.name: each for each in kind.properties}
        return {
            name: _native(each, kinds[name].dtype)
            for name, each in value.items()
            if each is not None or kinds[name].required
        }
    if isinstance(kind, DataType) and kind in _NARROW:
        return _NARROW[kind](value)
    if kind == DataType.datetime:
        return np.datetime64(value.replace(tzinfo=None), "ns")
    return value


def _tensors(rows: list[Any], schema: Schema, path: str) -> Any:
    specs: list[Any] = schema.inputs
    if not schema.has_input_names():
        return _stacked(rows, specs[0], path, "")
    return {
        spec.name: _stacked([row[spec.name] for row in rows], spec, path, pointer([spec.name]))
        for spec in specs
    }


def _stacked(values: list[Any], spec: TensorSpec, path: str, name: str) -> np.ndarray[Any, Any]:
    if spec.type.kind == "M":
        values = [_utc(value) for value in values]
    arrays = [np.asarray(value, dtype=spec.type) for value in values]
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            wanted = list(arrays[0].shape)
            raise _faulty(
                f"{path}/{i}{name}",
                f"the shape is {list(array.shape)}, that of the first row {wanted}; rows of one "
                "request must have one shape",
            )
    stacked = np.stack(arrays)
    first = spec.shape[0] if spec.shape else -1
    if first not in (-1, len(values)):
        raise _faulty(path, f"the model takes {first} rows at a time, not {len(values)}")
    return stacked if spec.shape else stacked[0]


def _utc(value: Any) -> Any:
    if isinstance(value, list):
        return [_utc(each) for each in value]
    return np.datetime64(value.replace(tzinfo=None), "ns")


def _invalid(error: ValidationError) -> Refusal:
    faults = _faults(error)
    more = error.error_count() - len(faults)
    told = f"; {more} more are not shown" if more else ""
    return Refusal(
        422,
        "invalid_body",
        f"The body does not follow the model's signature: {faults[0].path or 'the body'}: "
        f"{faults[0].message}. See /openapi.json{told}.",
        faults=faults,
    )


def _faults(error: ValidationError) -> list[Fault]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(path=pointer(each["loc"]), message=each["msg"]) for each in found[:_MOST_FAULTS]]


def _faulty(path: str, message: str) -> Refusal:
    fault = Fault(path=path, message=message)
    return Refusal(422, "invalid_body", f"{path or 'The body'}: {message}.", faults=[fault])
