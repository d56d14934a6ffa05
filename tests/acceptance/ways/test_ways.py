"""The same endpoint by Terraform, databricks-sdk, MLflow's deployments client and plain REST."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.deploy.deployment import opened
from tests.acceptance.site import Site

from .conftest import SERVING, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

OWN = ("id", "creation_timestamp", "last_updated_timestamp")
"""What differs between any two endpoints."""


def described(place: Site) -> dict[str, Any]:
    """The endpoint and its permissions, without what is nobody's choice; then it is removed."""
    endpoint = place.api("GET", f"{SERVING}/scgpt-serving")
    access = place.api("GET", f"/api/2.0/permissions/serving-endpoints/{endpoint['id']}")
    place.api("DELETE", f"{SERVING}/scgpt-serving")
    entries = access["access_control_list"]
    normal: dict[str, Any] = _normal(endpoint)
    return {**normal, "access": sorted(json.dumps(entry, sort_keys=True) for entry in entries)}


def _normal(value: Any) -> Any:
    """Without ids and times; false, as Terraform leaves it out, like absent."""
    if isinstance(value, dict):
        kept = {key: _normal(each) for key, each in value.items() if key not in OWN}
        return {key: each for key, each in kept.items() if each not in (None, "", [], {}, False)}
    return [_normal(each) for each in value] if isinstance(value, list) else value


def by_terraform(declared: Path) -> None:
    with opened("local", declared, "test", lambda _: None) as deployment:
        (serving,) = [each for each in deployment.stacks if each.stack == "local-serving"]
        serving.plan()
        serving.apply()


def by_example(place: Site, declared: Path, way: str) -> dict[str, Any]:
    done = run(place, "-m", f"examples.endpoint.with_{way}", environments=declared)
    assert json.loads(done.out.splitlines()[-1])["name"] == "scgpt-serving"
    return described(place)


def test_sdk_and_rest_make_the_endpoint_that_terraform_makes(place: Site, declared: Path) -> None:
    by_terraform(declared)
    expected = described(place)
    assert expected["config"]["served_entities"][0]["entity_version"] == "1"
    assert expected["ai_gateway"]["inference_table_config"]["enabled"]
    assert by_example(place, declared, "sdk") == expected
    assert by_example(place, declared, "rest") == expected


def test_mlflow_makes_the_endpoint_that_rest_makes(place: Site, declared: Path) -> None:
    expected = by_example(place, declared, "rest")
    assert by_example(place, declared, "mlflow") == expected


@pytest.mark.parametrize("way", ["sdk", "mlflow", "rest"])
def test_help_says_what_to_do_first(place: Site, declared: Path, way: str) -> None:
    done = run(place, "-m", f"examples.endpoint.with_{way}", "--help", environments=declared)
    assert 'eval "$(scgpt env local)"' in done.out
