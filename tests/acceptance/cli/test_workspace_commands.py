"""`scgpt workspace`, and commands that find no endpoint behind it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import Recipe, random_checkpoint
from tests.acceptance.site import Site, wait_until

pytestmark = pytest.mark.acceptance

ENDPOINT = "scgpt-serving"


def test_a_second_start_is_harmless(registry: Site) -> None:
    before = registry.status()
    token = registry.token()
    done = registry.succeed("workspace", "start", "--json")
    assert "running already" in done.err
    assert done.json == before == registry.status()
    assert registry.token() == token
    os.kill(before["pid"], 0)


def test_a_taken_port(tmp_path: Path) -> None:
    site = Site(tmp_path / "environments")
    with socket.create_server(("127.0.0.1", site.port)):
        done = site.scgpt("workspace", "start", "--port", str(site.port))
    assert (done.code, done.out) == (1, "")
    assert f"Port {site.port} on 127.0.0.1 is taken" in done.err
    assert [path.name for path in site.folder.iterdir()] == ["local.toml"]


def test_a_stopped_one(tmp_path: Path) -> None:
    site = Site(tmp_path / "environments")
    done = site.scgpt("workspace", "status", "--json")
    assert (done.code, done.json["state"]) == (1, "stopped")
    stopped = site.succeed("workspace", "stop")
    assert stopped.out == "it was not running\nnext: scgpt workspace start\n"


def test_an_endpoint_that_is_not_deployed(registry: Site) -> None:
    done = registry.scgpt("smoke", "local")
    assert (done.code, done.out) == (1, "")
    assert f"there is no endpoint {ENDPOINT} in local. " in done.err
    released = "Deploy it:" if registry.manifest.exists() else "scgpt build local --checkpoint DIR"
    assert released in done.err
    assert done.err.strip().endswith("scgpt deploy local")


@pytest.mark.long
def test_an_endpoint_that_is_not_ready(registry: Site, tmp_path: Path, cells_file: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=12, steps=0))
    built = registry.succeed(
        "build", "local", "--checkpoint", checkpoint, "--no-clean-environment", "--json"
    ).json
    entity = {
        "entity_name": built["model"],
        "entity_version": str(built["version"]),
        "workload_size": "Small",
        "scale_to_zero_enabled": True,
    }
    endpoints = "/api/2.0/serving-endpoints"
    registry.control("PUT", "settings/deployments", seconds=600.0)
    try:
        registry.api("POST", endpoints, name=ENDPOINT, config={"served_entities": [entity]})
        done = registry.scgpt("smoke", "local")
        assert (done.code, done.out) == (1, "")
        assert f"endpoint {ENDPOINT} is NOT_READY. Wait" in done.err
        output = tmp_path / "out.h5ad"
        done = registry.scgpt("embed", "local", cells_file, "--out", output)
        assert done.code == 1
        assert "is not ready" in done.err
        assert not output.exists()
    finally:
        registry.control("PUT", "settings/deployments")
        registry.api("DELETE", f"{endpoints}/{ENDPOINT}")
    wait_until(lambda: not registry.api("GET", endpoints).get("endpoints"))
