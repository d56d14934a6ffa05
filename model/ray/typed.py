"""Pydantic models of rows, made from an MLflow schema.

A request is read strictly: the JSON type that the signature names, no column that it does not know.
``integer`` and ``float`` keep to 32 bits, ``binary`` travels as base64, ``datetime`` as ISO 8601.
An answer is read leniently: a model may give more columns, and a number that is none becomes null.
A column keeps its name in JSON; in Python one that cannot be an attribute is called ``column_1``.
"""

from __future__ import annotations

import base64
import keyword
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    WithJsonSchema,
    create_model,
)

Kind = DataType | Array | Object | Map | AnyType

_STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    allow_inf_nan=False,
    protected_namespaces=(),
    hide_input_in_errors=True,
)
_LENIENT = ConfigDict(extra="allow", protected_namespaces=())
_INTEGERS = {DataType.integer: np.int32, DataType.long: np.int64}
_EARLIEST, _LATEST = (
    each.to_pydatetime(warn=False).replace(tzinfo=UTC)
    for each in (pd.Timestamp.min, pd.Timestamp.max)
)


def get_req_resp_signatures(
    model_signature: ModelSignature,
) -> tuple[type[BaseModel], type[BaseModel]]:
    """Return the pydantic models of one input row and of one output row."""
    return (
        schema_to_pydantic(model_signature.inputs, name="InputRow"),
        schema_to_pydantic(model_signature.outputs, name="OutputRow", answers=True),
    )


def schema_to_pydantic(
    schema: Schema | ParamSchema | None, *, name: str, answers: bool = False
) -> type[BaseModel]:
    """Make the pydantic model of one row, or of the params.

    Parameters
    ----------
    schema
        Columns, tensors or params. None takes any object as a row of input, and any value as a row
        of an answer. Without names a row is a JSON array, of one column its value.
    name
        Of the class; classes of objects inside it start with it.
    answers
        Read what a model answered, not what a client sent.

    Raises
    ------
    TypeError
        A tensor holds complex numbers or Python objects, which JSON has no type for.
    """
    reader = _Reader(answers)
    if schema is None:
        return reader.rooted(name, Any if answers else dict[str, Any])
    if isinstance(schema, ParamSchema):
        return reader.model(name, {each.name: reader.param(each, name) for each in schema.params})
    columns = list(schema.inputs)
    if not schema.has_input_names():
        kinds = [reader.column(column, f"{name}_{i}") for i, column in enumerate(columns)]
        # JSON has lists only; values inside stay strict.
        listed = Annotated[tuple[tuple(kinds)], Field(strict=False)]  # type: ignore[misc, valid-type]
        return reader.rooted(name, kinds[0] if len(kinds) == 1 else listed)
    return reader.model(name, {str(c.name): reader.field(c, f"{name}_{c.name}") for c in columns})


class _Reader:
    """Translates types of MLflow into those of pydantic.

    Parameters
    ----------
    answers
        As in :func:`schema_to_pydantic`.
    """

    def __init__(self, answers: bool) -> None:
        self._answers = answers

    def model(self, name: str, fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
        """Return a class with these fields, under names that Python takes."""
        taken = set(fields)
        named: dict[str, Any] = {}
        for i, (column, (kind, default)) in enumerate(fields.items()):
            attribute = column if _is_attribute(column) else _free(f"column_{i}", taken)
            taken.add(attribute)
            named[attribute] = (kind, Field(default, alias=column, title=column))
        config = _LENIENT if self._answers else _STRICT
        return create_model(re.sub(r"\W", "_", name, flags=re.ASCII), __config__=config, **named)

    def rooted(self, name: str, kind: Any) -> type[BaseModel]:
        """Return a class whose JSON is the bare value."""
        config = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True)
        return type(name, (RootModel[kind],), {"model_config": {} if self._answers else config})

    def field(self, spec: ColSpec | TensorSpec | Property, name: str) -> tuple[Any, Any]:
        """Return type and default of a column or a property: optional ones may be null."""
        kind = self.column(spec, name)
        return (kind, ...) if spec.required else (kind | None, None)

    def column(self, spec: ColSpec | TensorSpec | Property, name: str) -> Any:
        """Return the type of one row's value."""
        if isinstance(spec, TensorSpec):
            return self._tensor(spec.type, spec.shape[1:])
        return self._of(spec.dtype if isinstance(spec, Property) else spec.type, name)

    def param(self, spec: ParamSpec, name: str) -> tuple[Any, Any]:
        """Return type and default of a param; null stands for the default where that is null."""
        kind: Any = self._of(spec.dtype, f"{name}_{spec.name}")
        if spec.shape is not None:
            kind = list[kind]
        default = spec.default.tolist() if isinstance(spec.default, np.ndarray) else spec.default
        return (kind | None if default is None else kind), default

    def _of(self, kind: Kind, name: str) -> Any:
        if isinstance(kind, DataType):
            return self._scalar(kind)
        if isinstance(kind, Array):
            return list[self._of(kind.dtype, name)]  # type: ignore[misc]
        if isinstance(kind, Map):
            return dict[str, self._of(kind.value_type, name)]  # type: ignore[misc]
        if isinstance(kind, Object):
            fields = {
                each.name: self.field(each, f"{name}_{each.name}") for each in kind.properties
            }
            return self.model(name, fields)
        return Any

    def _scalar(self, kind: DataType) -> Any:
        if kind in _INTEGERS:
            return _integer(_INTEGERS[kind])
        if kind in (DataType.float, DataType.double):
            return self._float(np.float32 if kind == DataType.float else np.float64)
        return {
            DataType.boolean: bool,
            DataType.string: str,
            DataType.binary: _BASE64,
            DataType.datetime: _DATETIME,
        }[kind]

    def _float(self, dtype: Any) -> Any:
        if self._answers:
            return float | None
        most = float(np.finfo(dtype).max)
        return float if dtype == np.float64 else Annotated[float, Field(ge=-most, le=most)]

    def _tensor(self, dtype: np.dtype[Any], shape: Iterable[int]) -> Any:
        sizes = list(shape)
        kind: Any = self._element(dtype)
        for size in reversed(sizes):
            exact = Field() if size < 0 else Field(min_length=size, max_length=size)
            kind = Annotated[list[kind], exact]
        return Annotated[kind, AfterValidator(_rectangular)] if len(sizes) > 1 else kind

    def _element(self, dtype: np.dtype[Any]) -> Any:
        if dtype.kind in "iu":
            return _integer(dtype.type)
        if dtype.kind == "f":
            return self._float(dtype.type)
        by_kind = {"b": bool, "U": str, "O": str, "S": _BASE64, "M": _DATETIME}
        if dtype.kind not in by_kind:
            raise TypeError(
                f"a tensor of {dtype} has no type in JSON; log real numbers or strings."
            )
        return by_kind[dtype.kind]


def _integer(dtype: Any) -> Any:
    limits = np.iinfo(dtype)
    return Annotated[int, Field(ge=int(limits.min), le=int(limits.max))]


def _rectangular(value: list[Any]) -> list[Any]:
    try:
        np.asarray(value, dtype=object if _has_text(value) else None)
    except ValueError:
        raise ValueError("the lists inside have different lengths") from None
    return value


def _has_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, str)


def _read_base64(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ValueError("this is no base64") from None


def _read_datetime(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("this is no date and time of ISO 8601: 2026-11-30T12:00:00Z") from None


def _in_range(value: datetime) -> datetime:
    """Return the time in UTC; MLflow counts nanoseconds in 64 bits."""
    try:
        inside = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        inside = inside.astimezone(UTC)
    except OverflowError:
        inside = datetime.max.replace(tzinfo=UTC)
    if not _EARLIEST < inside < _LATEST:
        raise ValueError("the time lies outside 1677-09-22 .. 2262-04-11")
    return inside


_BASE64 = Annotated[
    bytes,
    BeforeValidator(_read_base64),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
_DATETIME = Annotated[
    datetime,
    BeforeValidator(_read_datetime),
    AfterValidator(_in_range),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _is_attribute(name: str) -> bool:
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
        and not hasattr(BaseModel, name)
    )


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
