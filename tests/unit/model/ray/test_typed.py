"""Pydantic models from MLflow schemas: all types, odd names, optional columns, params, tensors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
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
from pydantic import BaseModel, ValidationError

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.ray import get_req_resp_signatures, schema_to_pydantic

ANY: Any = AnyType()  # type: ignore[no-untyped-call]


def row_of(*columns: ColSpec | TensorSpec, answers: bool = False) -> type[BaseModel]:
    return schema_to_pydantic(Schema(list(columns)), name="Row", answers=answers)


def read(model: type[BaseModel], value: Any) -> Any:
    return model.model_validate(value).model_dump(by_alias=True, exclude_unset=True)


def refused(model: type[BaseModel], value: Any) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("boolean", [True, False], [0, "true", None]),
        ("integer", [0, -(2**31), 2**31 - 1], [2**31, 1.0, True, "1", None]),
        ("long", [2**63 - 1, -(2**63)], [2**63, 0.5, "1"]),
        ("float", [0.5, 1, -3e38], [1e39, "1", float("nan"), float("inf")]),
        ("double", [0.5, 1, 1e308], ["1", float("nan"), None]),
        ("string", ["", "ä\n"], [1, None, ["a"]]),
        ("binary", ["aGk=", ""], ["%", "a", 1]),
        (
            "datetime",
            ["2026-11-30T12:00:00Z", "2026-11-30T12:00:00+05:00", "2026-11-30"],
            ["noon", 5, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"],
        ),
    ],
)
def test_each_scalar(kind: str, good: list[Any], bad: list[Any]) -> None:
    model = row_of(ColSpec(DataType[kind], "x"))
    assert [each for each in good if refused(model, {"x": each})] == []
    assert [each for each in bad if not refused(model, {"x": each})] == []


def test_binary_and_datetime_become_bytes_and_utc() -> None:
    model = row_of(ColSpec(DataType.binary, "b"), ColSpec(DataType.datetime, "t"))
    found = read(model, {"b": "aGk=", "t": "2026-11-30T12:00:00+05:00"})
    assert found == {"b": b"hi", "t": datetime(2026, 11, 30, 7, tzinfo=UTC)}


def test_nested_types() -> None:
    thing = Object([Property("a", DataType.long), Property("b", ANY, required=False)])
    model = row_of(ColSpec(Array(thing), "things"), ColSpec(Map(Array(DataType.double)), "m"))
    good = {"things": [{"a": 1}, {"a": 2, "b": {"deep": [None]}}], "m": {"x y": [1.5]}}
    assert read(model, good) == good
    for bad in ([{"a": 1, "c": 2}], [{"b": 1}], [{"a": "1"}], {"a": 1}):
        assert refused(model, {**good, "things": bad})
    assert refused(model, {**good, "m": {"x": 1.5}})


def test_optional_columns_may_be_left_out_and_required_ones_not() -> None:
    model = row_of(ColSpec("string", "must"), ColSpec("long", "may", required=False))
    assert read(model, {"must": "x"}) == {"must": "x"}
    assert read(model, {"must": "x", "may": None}) == {"must": "x", "may": None}
    assert refused(model, {"may": 1})
    schema = model.model_json_schema()
    assert schema["required"] == ["must"]
    assert schema["additionalProperties"] is False


ODD = ["class", "_hidden", "model_config", "copy", "a b", "1st", "ü/~", "", "column_3", "json"]


def test_odd_names_travel_under_their_own_name() -> None:
    model = row_of(*(ColSpec("long", name) for name in ODD))
    row = {name: i for i, name in enumerate(ODD)}
    assert read(model, row) == row
    assert set(model.model_json_schema()["properties"]) == set(ODD)
    with pytest.raises(ValidationError) as error:
        model.model_validate({**row, "class": "no"})
    assert error.value.errors()[0]["loc"] == ("class",)


def test_a_row_without_names_is_the_bare_value_or_a_list() -> None:
    one, two = row_of(ColSpec("double")), row_of(ColSpec("double"), ColSpec("string"))
    assert read(one, 1.5) == 1.5
    assert list(read(two, [1.5, "a"])) == [1.5, "a"]
    assert refused(two, [1.5])
    assert refused(one, "1.5")


def test_tensors_keep_their_shape() -> None:
    image = row_of(TensorSpec(np.dtype("float32"), (-1, 2, -1), "image"))
    assert read(image, {"image": [[1.0, 2], [3, 4]]}) == {"image": [[1.0, 2.0], [3.0, 4.0]]}
    for bad in ([[1.0]], [[1.0], [2.0, 3.0]], [1.0, 2.0], [["a"], ["b"]], [[1e39], [1.0]]):
        assert refused(image, {"image": bad})
    assert read(row_of(TensorSpec(np.dtype("uint8"), (-1,))), 255) == 255
    assert refused(row_of(TensorSpec(np.dtype("uint8"), (-1,))), 256)
    with pytest.raises(TypeError, match="complex64"):
        row_of(TensorSpec(np.dtype("complex64"), (-1,)))


def test_params_have_their_defaults() -> None:
    params = ParamSchema(
        [
            ParamSpec("beam", "long", 4),
            ParamSpec("words", "string", ["a"], shape=(-1,)),
            ParamSpec("free", "double", None),
        ]
    )
    model = schema_to_pydantic(params, name="Params")
    filled = model.model_validate({"free": None}).model_dump()
    assert filled == {"beam": 4, "words": ["a"], "free": None}
    assert read(model, {"free": 1}) == {"free": 1.0}
    assert refused(model, {"beam": "4"})
    assert refused(model, {"beam": None})
    assert refused(model, {"other": 1})
    assert model.model_json_schema()["properties"]["beam"]["default"] == 4


def test_answers_are_read_leniently() -> None:
    model = row_of(ColSpec("double", "x"), ColSpec(Array(DataType.double), "v"), answers=True)
    row = {"x": None, "v": [1.5, None], "more": "columns"}
    assert read(model, row) == row
    assert not refused(schema_to_pydantic(None, name="Answer", answers=True), [1, "a"])


def test_a_signature_gives_both_models_and_their_schemas_are_json() -> None:
    request, answer = get_req_resp_signatures(pyfunc.signature())
    assert read(request, {"packed": "x"}) == {"packed": "x"}
    assert refused(request, {"pakced": "x"})
    assert "input_row" in answer.model_json_schema()["required"]
    json.dumps([request.model_json_schema(), answer.model_json_schema()])


def test_the_guides_translator() -> None:
    signature = ModelSignature(
        Schema([ColSpec("string", "prompt")]), Schema([ColSpec("string", "translation_text")])
    )
    request, answer = get_req_resp_signatures(signature)
    assert request(prompt="hi").model_dump() == {"prompt": "hi"}
    assert answer(translation_text="hallo").model_dump() == {"translation_text": "hallo"}
