"""One rule of compatibility, held against MLflow's own check of inputs."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property

from scgpt_databricks.model.judge.signatures import Compatibility, compare
from scgpt_databricks.model.pyfunc import signature as ours

SCALARS = [kind.name for kind in DataType]
Json = dict[str, Any]

types = st.recursive(
    st.sampled_from([*SCALARS, "any"]).map(lambda kind: {"type": kind}),
    lambda inner: st.one_of(
        inner.map(lambda x: {"type": "array", "items": x}),
        inner.map(lambda x: {"type": "map", "values": x}),
        st.dictionaries(
            st.sampled_from("abcd"),
            st.tuples(inner, st.booleans()).map(lambda x: {**x[0], "required": x[1]}),
            min_size=1,
            max_size=3,
        ).map(lambda x: {"type": "object", "properties": x}),
    ),
    max_leaves=4,
)
columns = st.dictionaries(
    st.sampled_from(["x", "y", "z"]), st.tuples(types, st.booleans()), min_size=1
).map(lambda found: [{**t, "name": n, "required": r} for n, (t, r) in found.items()])
params = st.dictionaries(st.sampled_from("pq"), st.integers(0, 2)).map(
    lambda found: [{"name": n, "type": "long", "default": d} for n, d in found.items()]
)


def written(inputs: Any = None, outputs: Any = None, params: Any = None) -> Json:
    parts = {"inputs": inputs, "outputs": outputs, "params": params}
    return {key: None if part is None else json.dumps(part) for key, part in parts.items()}


signatures = st.builds(written, columns, columns, params)


def of(*inputs: ColSpec | TensorSpec, outputs: Any = None, params: Any = ()) -> Json:
    return ModelSignature(
        Schema(list(inputs)),
        None if outputs is None else Schema(outputs),
        ParamSchema(list(params)) if params else None,
    ).to_dict()


def only(found: Compatibility) -> tuple[str, str, bool]:
    (one,) = found.differences
    return one.place, one.sentence, one.breaks


@given(signatures)
def test_every_signature_is_compatible_with_itself(signature: Json) -> None:
    assert compare(signature, deepcopy(signature)).differences == ()


@given(signatures, types, st.booleans())
def test_a_new_column_breaks_only_if_it_is_required(old: Json, kind: Json, required: bool) -> None:
    added = [*json.loads(old["inputs"]), {**kind, "name": "new", "required": required}]
    found = compare(old, {**old, "inputs": json.dumps(added)})
    assert found.compatible is not required
    assert only(found)[0] == "input new"


@given(signatures)
def test_a_removed_column_always_breaks(old: Json) -> None:
    for part in ("inputs", "outputs"):
        left = json.loads(old[part])[1:]
        assert not compare(old, {**old, part: json.dumps(left)}).compatible


@given(signatures, types)
def test_more_outputs_and_params_never_break(old: Json, kind: Json) -> None:
    more = [*json.loads(old["outputs"]), {**kind, "name": "new", "required": True}]
    param = [*json.loads(old["params"]), {"name": "new", "type": "long", "default": 1}]
    new = {**old, "outputs": json.dumps(more), "params": json.dumps(param)}
    assert compare(old, new).compatible
    assert len(compare(old, new).differences) == 2


SAMPLES: dict[str, Any] = {
    "boolean": np.array([True]),
    "integer": np.array([7], np.int32),
    "long": np.array([7]),
    "float": np.array([1.5], np.float32),
    "double": np.array([1.5]),
    "string": pd.Series(["text"]),
    "binary": pd.Series([b"bytes"]),
    "datetime": np.array(["2026-01-01"], "datetime64[ns]"),
}


def enforced(sent: str, wanted: str) -> bool:
    try:
        _enforce_schema(pd.DataFrame({"x": SAMPLES[sent]}), Schema([ColSpec(wanted, "x")]))
    except (MlflowException, ValueError):
        return False
    return True


@pytest.mark.parametrize("sent", SCALARS)
@pytest.mark.parametrize("wanted", SCALARS)
def test_a_type_that_we_call_wider_is_one_that_mlflow_accepts(sent: str, wanted: str) -> None:
    found = compare(of(ColSpec(sent, "x")), of(ColSpec(wanted, "x")))
    if found.compatible:
        assert enforced(sent, wanted)
    elif {sent, wanted} <= {"boolean", "integer", "long", "float", "double"}:
        assert not enforced(sent, wanted)


@pytest.mark.parametrize("sent", ["integer", "long", "float", "double", "string", "boolean"])
@pytest.mark.parametrize("wanted", ["integer", "long", "float", "double", "string", "boolean"])
def test_params_become_wider_as_mlflow_converts_them(sent: str, wanted: str) -> None:
    value = SAMPLES[sent].iloc[0] if sent == "string" else SAMPLES[sent][0]
    specs = [ParamSpec("p", kind, None) for kind in (sent, wanted)]
    found = compare(*(of(ColSpec("long", "x"), params=[spec]) for spec in specs))
    try:
        _enforce_params_schema({"p": value}, ParamSchema(specs[1:]))
        accepted = True
    except MlflowException:
        accepted = False
    assert found.compatible is accepted


def test_mlflow_refuses_a_property_that_it_does_not_know_and_so_do_we() -> None:
    small = Object([Property("a", DataType.long)])
    large = Object([Property("a", DataType.long), Property("b", DataType.long, required=False)])
    with pytest.raises(MlflowException):
        _enforce_schema(pd.DataFrame({"x": [{"a": 1, "b": 2}]}), Schema([ColSpec(small, "x")]))
    assert not compare(of(ColSpec(large, "x")), of(ColSpec(small, "x"))).compatible
    assert compare(of(ColSpec(small, "x")), of(ColSpec(large, "x"))).compatible
    # A client that reads the answer does not mind.
    x = ColSpec("long", "x")
    assert compare(
        of(x, outputs=[ColSpec(small, "y")]),
        of(x, outputs=[ColSpec(Object([*small.properties, Property("b", DataType.long)]), "y")]),
    ).compatible


X = ColSpec("long", "x")
OPTIONAL_X = ColSpec("long", "x", required=False)
LONGS, DOUBLES = Array(DataType.long), Array(DataType.double)
SENTENCES = [
    (of(X, ColSpec("long", "y")), of(X), "input y", "y was removed; the model would never see"),
    (of(OPTIONAL_X), of(X), "input x", "x is required now; clients may leave it out."),
    (of(X), of(ColSpec("string", "x")), "input x", "x was long and is string; what clients send"),
    (of(ColSpec(DOUBLES, "x")), of(ColSpec(LONGS, "x")), "input x", "array<double> and is array<"),
    (of(ColSpec(Map(AnyType()), "x")), of(ColSpec(Map(LONGS), "x")), "input x", "map<any> and is"),
    (
        of(X, outputs=[ColSpec("float", "e")]),
        of(X, outputs=[ColSpec("double", "e")]),
        "output e",
        "e was float and is double; clients cannot read that.",
    ),
    (of(X, outputs=[X]), of(X, outputs=[OPTIONAL_X]), "output x", "x may be missing now"),
    (of(X, outputs=[X]), of(X), "output", "no longer declared"),
    (of(X, params=[ParamSpec("p", "long", 1)]), of(X), "param p", "MLflow ignores it in silence"),
    (
        of(X, params=[ParamSpec("p", "long", 1)]),
        of(X, params=[ParamSpec("p", "long", 2)]),
        "param p",
        "the default of p was 1 and is 2; clients that leave it out get other answers.",
    ),
    (
        of(X, params=[ParamSpec("p", "long", 1)]),
        of(X, params=[ParamSpec("p", "long", [1], (-1,))]),
        "param p",
        "p was long and is list of long.",
    ),
    (written(), of(X), "input", "Inputs were free"),
    (
        of(TensorSpec(np.dtype("float32"), (-1, 3), "t")),
        of(TensorSpec(np.dtype("float32"), (-1, 4), "t")),
        "input t",
        "t was tensor<float32, [-1, 3]> and is tensor<float32, [-1, 4]>",
    ),
]


@pytest.mark.parametrize(("old", "new", "place", "sentence"), SENTENCES)
def test_a_breaking_difference_says_what_it_does(
    old: Json, new: Json, place: str, sentence: str
) -> None:
    found = only(compare(old, new))
    assert (found[0], found[2]) == (place, True)
    assert sentence in found[1]


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ((-1, 3), (-1, -1), True),
        ((2, 3), (-1, 3), True),
        ((-1, 3), (2, 3), False),
        ((-1, 3), (-1, 3, 1), False),
    ],
)
def test_tensors_without_a_name(old: Any, new: Any, fits: bool) -> None:
    specs = [of(TensorSpec(np.dtype("float32"), shape)) for shape in (old, new)]
    assert compare(*specs).compatible is fits


def test_our_own_signature_is_compatible_with_itself_and_says_nothing() -> None:
    assert compare(ours().to_dict(), ours().to_dict()).differences == ()
