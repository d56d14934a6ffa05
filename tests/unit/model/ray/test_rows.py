"""Bodies of requests, and answers: what MLflow's own check takes, and one refusal for the rest."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
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
from openapi_spec_validator import OpenAPIV31SpecValidator

from scgpt_databricks.model.ray.problems import Refusal
from scgpt_databricks.model.ray.rows import Api, to_rows

ANY: Any = AnyType()  # type: ignore[no-untyped-call]


def api(
    *columns: ColSpec | TensorSpec, params: list[ParamSpec] | None = None, outputs: Any = None
) -> Api:
    return Api(
        ModelSignature(
            Schema(list(columns)),
            None if outputs is None else Schema(outputs),
            ParamSchema(params) if params else None,
        )
    )


def refusal(of: Api, body: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        of.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def paths(error: Refusal) -> list[str]:
    return [fault.path for fault in error.faults or []]


def read(of: Api, body: Any) -> Any:
    return of.read(json.dumps(body).encode())


def test_one_row_or_many_or_rows_with_params() -> None:
    of = api(ColSpec("string", "prompt"), params=[ParamSpec("beam", "long", 4)])
    assert read(of, {"prompt": "hi"}).data["prompt"].tolist() == ["hi"]
    assert read(of, [{"prompt": "a"}, {"prompt": "b"}]).rows == 2
    whole = read(
        of,
        {
            "dataframe_records": [{"prompt": "a"}],
            "params": {"beam": 2},
            "client_request_id": "mine",
        },
    )
    assert (whole.rows, whole.params, whole.client_request_id) == (1, {"beam": 2}, "mine")


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "a"},
        [{"prompt": "a"}],
        {"dataframe_records": [{"prompt": "a"}]},
    ],
)
def test_what_is_logged_is_a_body_that_mlflows_servers_read(body: Any) -> None:
    found = api(ColSpec("string", "prompt"))
    sent = json.dumps(body).encode()
    before, after = found.read(sent).around
    assert json.loads(before + sent + after)["dataframe_records"] == [{"prompt": "a"}]


def test_a_column_may_have_the_name_of_the_list_of_rows() -> None:
    of = api(ColSpec("string", "dataframe_records"))
    assert read(of, {"dataframe_records": "x"}).rows == 1
    assert read(of, {"rows": [{"dataframe_records": "x"}]}).rows == 1


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"prompt": 1}, 422, ["/prompt"]),
        ({}, 422, ["/prompt"]),
        ([], 422, [""]),
        ("hi", 422, [""]),
        ([{"prompt": "a"}, {"prompt": None}], 422, ["/1/prompt"]),
        ([{"prompt": "a", "a/b~c": 1}], 422, ["/0/a~1b~0c"]),
        ({"dataframe_records": []}, 422, ["/dataframe_records"]),
        ({"dataframe_records": [{"prompt": 1}]}, 422, ["/dataframe_records/0/prompt"]),
        (
            {"dataframe_records": [{"prompt": "a"}], "params": {"beam": 1, "x": 1}},
            422,
            ["/params/x"],
        ),
        (b'{"prompt": NaN}', 400, []),
        (b'{"prompt": "\xff"}', 400, []),
        (b'{"prompt": "\\ud800"}', 400, []),
        (b"", 400, []),
        (b"[" * 100_000, 400, []),
        (b'{"a":' * 100_000, 400, []),
    ],
)
def test_bad_bodies_name_the_place(body: Any, status: int, where: list[str]) -> None:
    error = refusal(api(ColSpec("string", "prompt"), params=[ParamSpec("beam", "long", 4)]), body)
    assert (error.status, paths(error)) == (status, where)
    problem = json.loads(error.body("id-1"))
    assert (problem["status"], problem["request_id"]) == (status, "id-1")


def test_whole_numbers_are_in_every_row_or_in_none() -> None:
    of = api(ColSpec("string", "s"), ColSpec("long", "n", required=False))
    assert list(read(of, [{"s": "a"}, {"s": "b"}]).data) == ["s"]
    assert paths(refusal(of, [{"s": "a", "n": 1}, {"s": "b"}])) == ["/1/n"]


def test_unnamed_tensors_are_stacked() -> None:
    of = api(TensorSpec(np.dtype("float32"), (-1, 2)))
    assert read(of, [1, 2]).data.tolist() == [[1, 2]]
    many = read(of, [[1, 2], [3, 4]])
    assert (many.rows, many.data.shape, many.data.dtype) == (2, (2, 2), np.float32)
    assert read(of, {"inputs": [[1, 2]]}).rows == 1
    assert refusal(of, [[1, 2], [3]]).status == 422
    ragged = api(TensorSpec(np.dtype("int64"), (-1, -1), "x"))
    assert paths(refusal(ragged, [{"x": [1]}, {"x": [1, 2]}])) == ["/1/x"]
    assert paths(refusal(api(TensorSpec(np.dtype("int64"), (2,))), [1])) == [""]


_SCALARS: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-(2**31), 2**31 - 1),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.float: st.floats(width=32, allow_nan=False, allow_infinity=False),
    DataType.double: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    DataType.string: st.text(max_size=5),
    DataType.binary: st.binary(max_size=5).map(lambda b: base64.b64encode(b).decode()),
    DataType.datetime: st.datetimes(
        datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)
    ).map(datetime.isoformat),
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
_NAMES = st.text(min_size=1, max_size=6)
Typed = tuple[Any, st.SearchStrategy[Any]]


def _object(fields: dict[str, tuple[Typed, bool]]) -> Typed:
    properties = [Property(n, kind, required) for n, ((kind, _), required) in fields.items()]
    must = {n: values for n, ((_, values), required) in fields.items() if required}
    may = {n: values for n, ((_, values), required) in fields.items() if not required}
    return Object(properties), st.fixed_dictionaries(must, optional=may)


def _types() -> st.SearchStrategy[Typed]:
    scalar = st.sampled_from(list(_SCALARS.items()))
    return st.recursive(
        scalar | st.just((ANY, _JSON)),
        lambda inner: (
            inner.map(lambda t: (Array(t[0]), st.lists(t[1], max_size=3)))
            | inner.map(
                lambda t: (Map(t[0]), st.dictionaries(st.text(max_size=3), t[1], max_size=2))
            )
            | st.dictionaries(_NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=3).map(
                _object
            )
        ),
        max_leaves=4,
    )


@settings(max_examples=20, deadline=None, phases=[Phase.reuse, Phase.generate])
@given(st.data())
def test_mlflow_takes_what_was_read(data: st.DataObject) -> None:
    """MLflow's own check is the oracle: no type that we pass on is refused behind our back."""
    columns = data.draw(st.dictionaries(_NAMES, st.tuples(_types(), st.booleans()), min_size=1))
    schema = Schema(
        [ColSpec(kind, name, required) for name, ((kind, _), required) in columns.items()]
    )
    of = Api(ModelSignature(schema))
    row = st.fixed_dictionaries({name: values for name, ((_, values), _) in columns.items()})
    rows = data.draw(st.lists(row, min_size=1, max_size=3))
    question = read(of, rows)
    assert question.rows == len(rows)
    enforced = _enforce_schema(question.data, schema)
    assert len(enforced) == len(rows)


@pytest.mark.parametrize(
    "columns",
    [
        [ColSpec("binary", "class"), ColSpec(Map(Object([Property("a b", ANY)])), "m", False)],
        [ColSpec("double"), ColSpec("datetime")],
        [TensorSpec(np.dtype("float32"), (-1, 2, -1), "image")],
    ],
)
def test_the_schemas_are_valid_openapi(columns: list[Any]) -> None:
    of = api(*columns, params=[ParamSpec("beam", "long", 4)], outputs=columns)
    OpenAPIV31SpecValidator(document(*of.schemas())).validate()


def document(body: Any, answer: Any, components: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": answer}}
    call = {
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "ok", "content": content}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/serve": {"post": call}},
        "components": {"schemas": components},
    }


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_any_json_is_read_or_refused(sent: Any) -> None:
    of = api(ColSpec("string", "a"), ColSpec(Array(DataType.double), "b", required=False))
    try:
        question = read(of, sent)
    except Refusal as error:
        told = (error.status, bool(paths(error)))
    else:
        told = (422, question.rows >= 1)
    assert told == (422, True)


def test_params_reach_mlflow_as_it_checks_them() -> None:
    specs = [ParamSpec("t", "datetime", "2026-01-01T00:00:00"), ParamSpec("d", "double", 0.5)]
    of = api(ColSpec("string", "s"), params=specs)
    sent = {"t": "2026-11-30T12:00:00Z", "d": 1}
    found = read(of, {"dataframe_records": [{"s": "x"}], "params": sent}).params
    assert of.signature.params is not None
    checked = _enforce_params_schema(found, of.signature.params)
    assert checked["d"] == 1.0
    assert pd.Timestamp(checked["t"]) == pd.Timestamp("2026-11-30T12:00:00")


@pytest.mark.parametrize(
    ("found", "outputs", "rows"),
    [
        (pd.DataFrame({"a": [1, 2]}), [ColSpec("long", "a")], [{"a": 1}, {"a": 2}]),
        (["x", "y"], [ColSpec("string", "t")], [{"t": "x"}, {"t": "y"}]),
        ([{"t": "x"}, {"t": "y"}], [ColSpec("string", "t")], [{"t": "x"}, {"t": "y"}]),
        (pd.Series([1, 2]), [ColSpec("long")], [1, 2]),
        (np.array([[1], [2]]), [ColSpec("long", "a")], [{"a": 1}, {"a": 2}]),
        (np.array([[1, 2], [3, 4]]), [TensorSpec(np.dtype("int64"), (-1, 2))], [[1, 2], [3, 4]]),
        (np.array([5, 6]), [TensorSpec(np.dtype("int64"), (-1,))], [5, 6]),
        (
            {"a": np.array([1, 2])},
            [TensorSpec(np.dtype("int64"), (-1,), "a")],
            [{"a": 1}, {"a": 2}],
        ),
        (pd.DataFrame({0: [1, 2]}), [ColSpec("long")], [1, 2]),
        ({"x": 1}, None, [{"x": 1}]),
        ("text", None, ["text"]),
    ],
)
def test_answers_become_rows(found: Any, outputs: Any, rows: list[Any]) -> None:
    of = api(ColSpec("string", "s"), outputs=outputs)
    assert json.loads(of.write(to_rows(found, of.signature.outputs, 2))) == rows


def test_numbers_that_are_none_become_null() -> None:
    of = api(ColSpec("string", "s"), outputs=[ColSpec("double", "x"), ColSpec("datetime", "t")])
    frame = pd.DataFrame({"x": [np.nan, np.inf], "t": pd.to_datetime(["2026-01-01"] * 2)})
    text = of.write(to_rows(frame, of.signature.outputs, 2))
    assert [row["x"] for row in json.loads(text)] == [None, None]


def test_an_answer_beside_its_signature_is_the_models_fault() -> None:
    of = api(ColSpec("string", "s"), outputs=[ColSpec("long", "n")])
    for rows in ([{"n": "many"}], [{}], [{"n": object()}]):
        with pytest.raises(Refusal) as caught:
            of.write(rows)
        assert (caught.value.status, caught.value.code) == (500, "answer_differs")


def test_a_schema_that_names_nothing_takes_any_object() -> None:
    of = Api(ModelSignature(None, Schema([ColSpec("long", "n")])))
    assert read(of, {"x": 1}).data.to_dict("records") == [{"x": 1}]
    assert refusal(of, [1]).status == 422
