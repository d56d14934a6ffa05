"""Requests about endpoints are checked, and nothing is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.local_workspace.core.errors import ApiError
from scgpt_databricks.local_workspace.serving.spec import (
    check_config,
    check_creation,
    check_gateway,
)


def _entity(**more: Any) -> dict[str, Any]:
    return {"name": "a", "entity_name": "main.scgpt.m", "entity_version": "1", **more}


def _routes(*shares: tuple[str, int]) -> dict[str, Any]:
    return {"routes": [{"served_model_name": n, "traffic_percentage": p} for n, p in shares]}


def _refusal(body: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as caught:
        check_config(body)
    assert (caught.value.status, caught.value.code) == (400, "INVALID_PARAMETER_VALUE")
    return caught.value.message


def test_a_single_entity_gets_all_traffic_and_its_default_name() -> None:
    sent = {"entity_name": "main.scgpt.m", "entity_version": "3"}
    entities, traffic = check_config({"served_entities": [sent]})
    assert entities == [{**sent, "name": "m-3", "workload_type": "CPU"}]
    assert traffic["routes"] == [
        {"served_model_name": "m-3", "served_entity_name": "m-3", "traffic_percentage": 100}
    ]


def test_values_stay_as_sent() -> None:
    sent = _entity(
        workload_size="Small",
        workload_type="GPU_SMALL",
        scale_to_zero_enabled=False,
        environment_vars={"A": "b"},
    )
    assert check_config({"served_entities": [sent]})[0] == [sent]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"served_entities": []}, "1 to 15"),
        ({"served_entities": [_entity()] * 2}, "more than once"),
        ({"served_entities": [_entity(entity_version="champion")]}, "not a version number"),
        ({"served_entities": [_entity(name="a b")]}, "'a b' is not valid"),
        ({"served_entities": [_entity(entity_name="")]}, "missing entity_name"),
        ({"served_entities": [_entity(workload_type="GPU_HUGE")]}, "GPU_HUGE"),
        ({"served_entities": [_entity(workload_size="Tiny")]}, "Tiny"),
        ({"served_entities": [_entity(max_provisioned_concurrency=3)]}, "multiple of 4"),
        (
            {"served_entities": [_entity(workload_size="Small", max_provisioned_concurrency=4)]},
            "exclude each other",
        ),
        ({"served_entities": [_entity(typo=1)]}, "typo"),
        ({"served_entities": [_entity(external_model={})], "x": 1}, "x"),
        ({"served_entities": [_entity()], "auto_capture_config": {"enabled": True}}, "legacy"),
        ({"served_entities": [_entity()], "traffic_config": _routes(("a", 90))}, "100, not 90"),
        ({"served_entities": [_entity()], "traffic_config": _routes(("b", 100))}, "'b'"),
        (
            {"served_entities": [_entity()], "traffic_config": _routes(("a", 50), ("a", 50))},
            "more than one route",
        ),
        ({"served_entities": [_entity(), _entity(name="b")]}, "without: ['a', 'b']"),
        (
            {
                "served_entities": [_entity(), _entity(name="b")],
                "traffic_config": _routes(("a", 100)),
            },
            "without: ['b']",
        ),
    ],
)
def test_mistakes_are_named(body: dict[str, Any], words: str) -> None:
    assert words in _refusal(body)


@pytest.mark.parametrize("name", ["", "databricks-x", "a" * 64, "a.b", "ä", None, 3])
def test_endpoint_names(name: object) -> None:
    with pytest.raises(ApiError, match="Endpoint name"):
        check_creation({"name": name})


@pytest.mark.parametrize(
    ("gateway", "words"),
    [
        ({"guardrails": {"input": {}}}, "guardrails"),
        ({"inference_table_config": {"enabled": True, "schema_name": "s"}}, "catalog_name"),
        ({"rate_limits": [{"calls": 1, "renewal_period": "hour"}]}, "minute"),
        ({"rate_limits": [{"tokens": 5, "renewal_period": "minute"}]}, "calls"),
        (
            {"rate_limits": [{"calls": 1, "key": "user_group", "renewal_period": "minute"}]},
            "principal",
        ),
        ({"inference_tables": {}}, "inference_tables"),
    ],
)
def test_gateway_mistakes_are_named(gateway: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        check_gateway(gateway)


def test_a_disabled_table_needs_no_place() -> None:
    check_gateway({"inference_table_config": {}, "usage_tracking_config": {}})
    check_gateway({})
