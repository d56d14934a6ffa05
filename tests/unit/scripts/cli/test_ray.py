"""``scgpt ray``: wrong usage is refused before a cluster starts; configs pass Ray's own schema."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from ray.serve.schema import ServeDeploySchema

from scgpt_databricks.model.ray.config import Arguments
from scgpt_databricks.model.ray.run import parse
from scgpt_databricks.scripts.cli.ray import ray

IMAGE = ["--image", "example/scgpt:1"]


def run(*args: str, **variables: str | None) -> Any:
    return CliRunner().invoke(ray, list(args), env=variables)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--split", "challenger"], "VERSION=PERCENT"),
        (["--split", "challenger=100"], "between 0 and 100"),
        (["--split", "challenger=nan"], "between 0 and 100"),
        (["--sticky-header", "x-user"], "--sticky-header needs --split"),
        (["--replicas", "4..1"], "LEAST..MOST"),
        (["--replicas", "0"], "LEAST..MOST"),
        (["--max-models", "0"], "--max-models"),
    ],
)
def test_wrong_options(options: list[str], told: str) -> None:
    done = run("config", "m", *IMAGE, *options)
    assert (done.exit_code, told in done.output) == (2, True), done.output


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com"])
def test_beyond_loopback_a_token_is_required(host: str) -> None:
    done = run("serve", "m", "--host", host, SCGPT_RAY_TOKEN=None)
    assert done.exit_code == 2
    assert "SCGPT_RAY_TOKEN is not set" in done.output


def test_a_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "m", "--port", str(port), RAY_ADDRESS=None)
    assert done.exit_code == 1
    assert f"Port {port} on 127.0.0.1 cannot be listened on" in done.output
    assert "--port" in done.output


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("main.a.b", ("main.a.b", "champion")),
        ("m@live", ("m", "live")),
        ("models:/m/3", ("m", "3")),
    ],
)
def test_models_and_versions(text: str, found: tuple[str, str]) -> None:
    assert parse(text) == found


def test_the_service_holds_a_config_that_rays_schema_takes(tmp_path: Path) -> None:
    out = tmp_path / "service.yaml"
    options = ["--replicas", "2..6", "--gpus", "1", "--split", "challenger=10", "--out", str(out)]
    done = run("config", "main.a.b/3", *IMAGE, *options)
    assert done.exit_code == 0, done.output
    service = yaml.safe_load(out.read_text())
    assert (service["kind"], service["apiVersion"]) == ("RayService", "ray.io/v1")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    (application,) = ServeDeploySchema.model_validate(config).applications
    arguments = Arguments.model_validate(application.args)
    assert (arguments.model, arguments.default_version) == ("main.a.b", "3")
    assert arguments.settings.require_token
    assert arguments.settings.split is not None
    # Two versions have a place, and two more may load beside them on the replica's one GPU.
    assert arguments.settings.gpus == 0.25
    assert application.deployments[0].max_replicas_per_node == 1
    cluster = service["spec"]["rayClusterConfig"]
    workers = cluster["workerGroupSpecs"][0]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (2, 6)
    assert cluster["enableInTreeAutoscaling"]  # or nobody adds a worker


def test_the_plain_config_as_json() -> None:
    done = run("config", "m", *IMAGE, "--plain", "--json")
    assert done.exit_code == 0, done.output
    ServeDeploySchema.model_validate(json.loads(done.stdout))
