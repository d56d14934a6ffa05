"""`scgpt build` stopped in the middle, and run again: one good version and a manifest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import Recipe, random_checkpoint
from tests.acceptance.site import Site, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

FINALIZE = "*/model-versions/finalize"


def kill(process: subprocess.Popen[str]) -> None:
    """The build with its validation process, as when a machine goes down."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def build_again(site: Site, checkpoint: Path) -> int:
    done = site.succeed(
        "build", "local", "--checkpoint", checkpoint, "--no-clean-environment", "--json"
    )
    sha256 = done.json["checkpoint_sha256"]
    versions = [version for version in site.versions() if site_sha256(site, version) == sha256]
    assert [(v["version"], v["status"]) for v in versions] == [(done.json["version"], "READY")]
    manifest = json.loads(site.manifest.read_text())
    assert [served["version"] for served in manifest["served"]] == [done.json["version"]]
    assert manifest["served"][0]["checkpoint_sha256"] == sha256
    version: int = done.json["version"]
    return version


def site_sha256(site: Site, version: dict[str, object]) -> str:
    """The registry's own tag says what a version was made of."""
    found = site.api(
        "GET",
        "/api/2.0/mlflow/unity-catalog/model-versions/get"
        f"?name=main.scgpt.scgpt_gene_embeddings&version={version['version']}",
    )
    tags = {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", [])}
    return tags["checkpoint_sha256"]


def test_killed_during_validation(registry: Site, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=11, steps=0))
    before = registry.versions()
    manifest = registry.manifest.read_bytes() if registry.manifest.exists() else None
    process = registry.start("build", "local", "--checkpoint", checkpoint, "--no-clean-environment")
    assert process.stderr is not None
    for line in process.stderr:
        if "validating" in line:
            break
    kill(process)
    assert registry.versions() == before
    assert (registry.manifest.read_bytes() if registry.manifest.exists() else None) == manifest
    version = build_again(registry, checkpoint)
    bytes_before = registry.manifest.read_bytes()
    assert build_again(registry, checkpoint) == version
    assert registry.manifest.read_bytes() == bytes_before


def test_killed_during_registration(registry: Site, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=12, steps=0))
    manifest = registry.manifest.read_bytes() if registry.manifest.exists() else None
    registry.control("POST", "faults", path=FINALIZE, method="POST", delay_s=20, status=503)
    process = registry.start("build", "local", "--checkpoint", checkpoint, "--no-clean-environment")
    try:
        wait_until(lambda: registry.control("GET", "faults")["faults"][0]["hits"] == 1, 120)
    finally:
        kill(process)
        registry.control("DELETE", "faults")
    assert [v["status"] for v in registry.versions()].count("PENDING_REGISTRATION") == 1
    after = registry.manifest.read_bytes() if registry.manifest.exists() else None
    assert after == manifest, "the manifest names a version that does not exist"
    build_again(registry, checkpoint)
    assert "PENDING_REGISTRATION" not in [v["status"] for v in registry.versions()]


def test_a_registration_that_fails(registry: Site, tmp_path: Path) -> None:
    """No kill: the registry refuses the last step; message, exit code 1, and the next run mends."""
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=13, steps=0))
    manifest = registry.manifest.read_bytes() if registry.manifest.exists() else None
    registry.control("POST", "faults", path=FINALIZE, method="POST", status=403)
    try:
        done = registry.scgpt(
            "build", "local", "--checkpoint", checkpoint, "--no-clean-environment"
        )
    finally:
        registry.control("DELETE", "faults")
    assert done.code == 1
    assert "error:" in done.err
    assert "Fault set by a control route" in done.err
    after = registry.manifest.read_bytes() if registry.manifest.exists() else None
    assert after == manifest
    build_again(registry, checkpoint)
