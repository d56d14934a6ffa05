"""The endpoint field by field: what the API says against what is declared."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.settings import EmailNotifications, Settings
from scgpt_databricks.scripts.deploy import verify
from scgpt_databricks.scripts.deploy.verify import differences
from scgpt_databricks.scripts.deploy.verify.difference import compare
from scgpt_databricks.scripts.deploy.verify.serving import (
    _folded,
    await_endpoint,
    declared,
    described,
)
from tests.unit.infra.manifests import canary

SECRET = "{{secrets/scgpt/token}}"
BASE = settings.load("prod", layout.ENVIRONMENTS)
GIVEN = {
    "email_notifications": EmailNotifications(on_update_failure=("a@b.c",)),
    "environment": {"MODE": "fast", "TOKEN": SECRET},
    "description": "cells",
    "budget_policy_id": "b-1",
}
PROD: Settings = BASE.model_copy(update={"endpoint": BASE.endpoint.model_copy(update=GIVEN)})
MANIFEST = canary(PROD)


def entity(version: int) -> dict[str, Any]:
    return {
        "name": f"scgpt_gene_embeddings-{version}",
        "entity_name": "prod.scgpt.scgpt_gene_embeddings",
        "entity_version": str(version),
        "workload_type": PROD.workload_type,
        "workload_size": "Small",
        "environment_vars": {"TOKEN": SECRET, "MODE": "anything", "SCGPT_EXPECTS_GPU": "true"},
        "state": {"deployment": "DEPLOYMENT_READY"},
    }


def answer() -> dict[str, Any]:
    """As GET answers it; ``false`` is left out, as the provider leaves it out when it sends."""
    gateway = PROD.gateway
    return {
        "name": "scgpt-serving",
        "creator": "pipeline",
        "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
        "description": "cells",
        "budget_policy_id": "b-1",
        "email_notifications": {"on_update_failure": ["a@b.c"]},
        "tags": [{"key": key, "value": value} for key, value in PROD.tags.items()],
        "config": {
            "served_entities": [entity(9), entity(10)],
            "traffic_config": {
                "routes": [
                    {"served_model_name": "scgpt_gene_embeddings-9", "traffic_percentage": 95},
                    {"served_entity_name": "scgpt_gene_embeddings-10", "traffic_percentage": 5},
                ]
            },
        },
        "ai_gateway": {
            "inference_table_config": {
                "enabled": True,
                "catalog_name": "prod",
                "schema_name": "scgpt",
                "table_name_prefix": gateway.inference_table_prefix,
            },
            "usage_tracking_config": {"enabled": True},
            "rate_limits": [
                {"calls": limit.calls, "key": limit.key, "renewal_period": "minute"}
                for limit in gateway.rate_limits
            ],
        },
    }


def fields(found: dict[str, Any]) -> list[str]:
    wanted, there = declared(PROD, MANIFEST), described(found)
    differing = compare("e", _folded(wanted, there), _folded(there, wanted))
    return [each.field for each in differing]


def test_what_was_declared_is_found() -> None:
    assert fields(answer()) == []


def test_an_entity_that_one_side_lacks_is_one_line() -> None:
    found = answer()
    found["config"]["served_entities"] = [entity(9), entity(11)]
    found["config"]["traffic_config"]["routes"][1] = {
        "served_model_name": "scgpt_gene_embeddings-11", "traffic_percentage": 5
    }  # fmt: skip
    wanted, there = declared(PROD, MANIFEST), described(found)
    lines = [str(each) for each in compare("e", _folded(wanted, there), _folded(there, wanted))]
    assert lines == [
        "e: scgpt_gene_embeddings-10 is 'absent', declared is 'version 10, 5 %'",
        "e: scgpt_gene_embeddings-11 is 'version 11, 5 %', declared is 'absent'",
    ]


V9, V10 = "scgpt_gene_embeddings-9", "scgpt_gene_embeddings-10"


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        (lambda e: e["state"].update(ready="NOT_READY"), ["state"]),
        (lambda e: e.pop("description"), ["description"]),
        (lambda e: e.update(budget_policy_id="b-2"), ["budget_policy_id"]),
        (lambda e: e.update(route_optimized=True), ["route_optimized"]),
        (
            lambda e: e["email_notifications"].update(on_update_success=["x@y.z"]),
            ["email_notifications.on_update_success"],
        ),
        (lambda e: e.pop("email_notifications"), ["email_notifications.on_update_failure"]),
        (lambda e: e["tags"].append({"key": "by", "value": "hand"}), ["tags.by"]),
        (lambda e: e["tags"].pop(0), ["tags.project"]),
        (
            lambda e: e["ai_gateway"]["inference_table_config"].pop("enabled"),
            ["inference_table"],
        ),
        (
            lambda e: e["ai_gateway"]["inference_table_config"].update(schema_name="other"),
            ["inference_table"],
        ),
        (lambda e: e["ai_gateway"].pop("usage_tracking_config"), ["usage_tracking"]),
        (lambda e: e["ai_gateway"]["rate_limits"][0].update(calls=1), ["rate_limits.user"]),
        (
            lambda e: e["ai_gateway"]["rate_limits"].append(
                {"calls": 5, "key": "service_principal", "principal": "p"}
            ),
            ["rate_limits.service_principal.p"],
        ),
        (
            lambda e: e["ai_gateway"]["rate_limits"].insert(0, {"tokens": 5, "key": "user"}),
            ["rate_limits.user in tokens"],
        ),
        (
            lambda e: e.pop("ai_gateway"),
            ["inference_table", "usage_tracking", "rate_limits.user", "rate_limits.endpoint"],
        ),
        (
            lambda e: [
                route.update(traffic_percentage=50)
                for route in e["config"]["traffic_config"]["routes"]
            ],
            [f"{V9}.traffic", f"{V10}.traffic"],
        ),
        (
            lambda e: e["config"]["served_entities"][0].update(entity_version="8"),
            [f"{V9}.entity_version"],
        ),
        (
            lambda e: e["config"]["served_entities"][1].update(scale_to_zero_enabled=True),
            [f"{V10}.scale_to_zero"],
        ),
        (
            lambda e: e["config"]["served_entities"][0].update(workload_type="GPU_MEDIUM_8"),
            [f"{V9}.workload_type"],
        ),
        (
            lambda e: e["config"]["served_entities"][0].update(
                workload_size=None, min_provisioned_concurrency=4, max_provisioned_concurrency=8
            ),
            [
                f"{V9}.workload_size",
                f"{V9}.min_provisioned_concurrency",
                f"{V9}.max_provisioned_concurrency",
            ],
        ),
        (
            lambda e: e["config"]["served_entities"][0]["environment_vars"].pop("MODE"),
            [f"{V9}.environment.MODE"],
        ),
        (
            lambda e: e["config"]["served_entities"][0]["environment_vars"].update(TOKEN="x"),
            [f"{V9}.environment.TOKEN"],
        ),
    ],
)
def test_each_field_is_compared(
    change: Callable[[dict[str, Any]], object], differing: list[str]
) -> None:
    found = copy.deepcopy(answer())
    change(found)
    assert sorted(fields(found)) == sorted(differing)


def test_values_of_variables_are_never_told() -> None:
    found = answer()
    found["config"]["served_entities"][0]["environment_vars"] = {"OTHER": "hunter2"}
    told = [str(each) for each in compare("e", declared(PROD, MANIFEST), described(found))]
    assert len(told) == 4  # three that are missing, one too many
    assert not any("hunter2" in line or "fast" in line for line in told)


@pytest.mark.parametrize("ended", ["UPDATE_FAILED", "UPDATE_CANCELED"])
@pytest.mark.parametrize("ready", ["READY", "NOT_READY"])
def test_nobody_waits_for_an_update_that_has_ended(
    ended: str, ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def do(*_: object) -> dict[str, Any]:
        return {"state": {"ready": ready, "config_update": ended}}

    def waited(_: float) -> None:
        pytest.fail("waits for what will not come")

    monkeypatch.setattr(time, "sleep", waited)
    client = SimpleNamespace(api_client=SimpleNamespace(do=do))
    await_endpoint(cast(WorkspaceClient, client), PROD)


@pytest.mark.parametrize("there", [True, False])
def test_an_endpoint_whose_manifest_was_lost_is_a_difference(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("registry_differences", "monitoring_differences"):
        monkeypatch.setattr(verify, name, lambda *_: [])

    def do(*_: object) -> dict[str, Any]:
        if not there:
            raise NotFound("no such endpoint")
        return answer()

    client = SimpleNamespace(api_client=SimpleNamespace(do=do))
    found = [str(each) for each in differences(cast(WorkspaceClient, client), PROD, None)]
    said = "endpoint scgpt-serving: exists is True, declared is 'nothing: there is no {}'"
    assert found == ([said.format("prod.release.json")] if there else [])
