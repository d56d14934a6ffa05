"""`scgpt versions` against a workspace that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from tests.acceptance.manifests import write_manifest
from tests.acceptance.site import Site, wait_until
from tests.acceptance.ways.conftest import MODEL, SERVING

pytestmark = pytest.mark.acceptance

REGISTRY = "/api/2.0/mlflow/unity-catalog"


def test_versions_with_aliases_traffic_and_lineage(place: Site, declared: Path) -> None:
    command = ("versions", "local", "--environments", declared)
    scores = '{"ari":[0.5,0.4,0.6]}'
    of_one = {"name": MODEL, "version": "1"}
    for key, value in (("metrics", scores), ("copied_from", "dev.scgpt.m/7")):
        place.api("POST", f"{REGISTRY}/model-versions/set-tag", **of_one, key=key, value=value)
    entities = [
        {"entity_name": MODEL, "entity_version": version, "name": f"m-{version}"}
        for version in ("1", "2")
    ]
    routes = [
        {"served_model_name": name, "traffic_percentage": share}
        for name, share in (("m-1", 90), ("m-2", 10))
    ]
    sizes = {"workload_size": "Small"}
    config = {
        "served_entities": [{**entity, **sizes} for entity in entities],
        "traffic_config": {"routes": routes},
    }
    place.api("POST", SERVING, name="beside", config=config)
    try:
        wait_until(lambda: place.api("GET", f"{SERVING}/beside")["state"]["ready"] == "READY")
        found = place.succeed(*command, "--json").json
        text = place.succeed(*command).out
    finally:
        place.api("DELETE", f"{SERVING}/beside")
    newest, oldest = found["versions"][-2:]
    assert [newest["version"], oldest["version"]] == [2, 1]
    assert oldest["serves"] == [{"endpoint": "beside", "version": 1, "traffic": 90}]
    assert newest["serves"] == [{"endpoint": "beside", "version": 2, "traffic": 10}]
    assert (oldest["released"], newest["released"]) == (100, None)
    assert oldest["metrics"] == {"ari": {"value": 0.5, "low": 0.4, "high": 0.6}}
    assert (oldest["source"], oldest["validated"], oldest["status"]) == (
        "dev.scgpt.m/7",
        True,
        "READY",
    )
    problems = " ".join(found["problems"])
    assert "version 1 100 % of scgpt-serving; it does not serve: `scgpt deploy local`" in problems
    assert "as champion, the alias champion is on none" in problems
    assert "beside 90 %" in text
    assert "ari 0.5000" in text

    place.api("POST", f"{REGISTRY}/registered-models/alias", **of_one, alias="champion")
    found = place.succeed(*command, "--json").json
    assert found["versions"][-1]["aliases"] == ["champion"]
    assert "alias" not in " ".join(found["problems"])
    place.api("DELETE", f"{REGISTRY}/registered-models/alias", name=MODEL, alias="champion")


def test_what_the_registry_does_not_hold_is_told(place: Site, declared: Path) -> None:
    manifest, toml = declared / "local.release.json", declared / "local.toml"
    command = ("versions", "local", "--environments", declared)
    write_manifest(settings.load("local", declared), (99, 100))
    (problem, *_) = place.succeed(*command, "--json").json["problems"]
    assert problem == "local.release.json names version 99, which the registry does not have"
    manifest.unlink()
    assert place.succeed(*command, "--json").json["problems"] == []

    toml.write_text(toml.read_text().replace(MODEL.rpartition(".")[2], "nowhere"))
    done = place.scgpt(*command)
    assert done.code == 1
    assert "no registered model main.scgpt.nowhere: deploy the registry stack first" in done.err
