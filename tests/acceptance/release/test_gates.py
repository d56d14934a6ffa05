"""Gates on the command line, between two workspaces that know nothing of each other.

The second has a metastore of its own: a version is downloaded, registered there and compared by
sha256. Its endpoint then answers as the engine does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from scgpt_databricks.model import registry
from scgpt_databricks.model.judge.likeness import NEW_SPACE
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests import variants
from tests.acceptance.site import Site

MODEL = "dev.scgpt.scgpt_gene_embeddings"
_TOML = """
catalog = "{name}"
deletion_protection = false
[workspace]
local = true
profile = "{profile}"
[endpoint]
name = "scgpt-{name}"
workload_type = "CPU"
timeout_minutes = 20
[monitoring]
enabled = false
[promotion]
{promotion}
[state]
backend = "local"
"""
_FROM_DEV = 'source = "dev"\napproval = false'

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(3000)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """dev in one workspace, staging in another, both deployed."""
    site, other = Site(tmp_path / "site"), Site(tmp_path / "other")
    try:
        for each in (site, other):
            each.start_workspace()
        theirs = (other.folder / "databrickscfg").read_text().replace("[local", "[other")
        with (site.folder / "databrickscfg").open("a") as config:
            config.write(theirs)
        for name, profile, promotion in (
            ("dev", "local", ""),
            ("staging", "other", _FROM_DEV),
        ):
            text = _TOML.format(name=name, profile=profile, promotion=promotion)
            (site.folder / f"{name}.toml").write_text(text)
            site.succeed("deploy", name)
        yield site
    finally:
        site.stop_workspace()
        other.stop_workspace()


def build(site: Site, checkpoint: Path) -> int:
    origin = ("--licence", "MIT", "--provenance", "made for a test")
    done = site.succeed("build", "dev", "--checkpoint", checkpoint, *origin, "--release", "--json")
    version: int = done.json["version"]
    return version


def changed(scratch: Path, change: Callable[[Path], None]) -> Path:
    checkpoint = shutil.copytree(SHIPPED, scratch / change.__name__)
    change(checkpoint)
    return checkpoint


def failed(site: Site, *options: str) -> set[str]:
    """Promote, be refused, and return the gates that refused, as the history has them."""
    before = (site.folder / "staging.release.json").read_bytes()
    done = site.scgpt("promote", "dev", "staging", *options)
    assert done.code == 3, done.err
    assert (site.folder / "staging.release.json").read_bytes() == before
    last = site.succeed("history", "staging", "--json").json["history"][-1]
    assert last["state"] == "refused"
    gates: list[dict[str, Any]] = last["facts"]["gates"]
    return {gate["name"] for gate in gates if gate["state"] == "failed"}


def off_by_one(site: Site, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Register what a fork's build would: the same weights, its own code, all tags as it says."""
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(site.folder / "databrickscfg"))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "local")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")
    try:
        uri = f"models:/{MODEL}/1"
        files = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(scratch)))
        broken = variants.bins_off_by_one(files, scratch / "broken")
        tags = {**registry.get(MODEL, 1).tags, registry.ENGINE: "f" * 64}
        return int(MlflowClient().create_model_version(MODEL, str(broken), tags=tags).version)
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


def test_only_what_answers_as_it_should_comes_to_the_other_workspace(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(site, SHIPPED) == 1
    first = site.succeed("promote", "dev", "staging", "--json").json
    assert {gate["state"] for gate in first["gates"]} == {"passed"}
    site.succeed("deploy", "staging")
    _answers_as_the_engine_does(site, tmp_path)

    build(site, changed(tmp_path, variants.shift_vocabulary))
    assert failed(site) >= {"likeness", "metrics"}
    build(site, changed(tmp_path, variants.swap_queries_and_keys))
    assert failed(site) >= {"likeness", "metrics"}
    (tmp_path / "downloaded").mkdir()
    number = off_by_one(site, tmp_path / "downloaded", monkeypatch)
    assert failed(site, "--version", str(number)) == {"likeness"}

    build(site, changed(tmp_path, variants.reverse_dimensions))
    done = site.succeed("promote", "dev", "staging", "--json").json
    assert NEW_SPACE in done["text"]
    manifest = json.loads((site.folder / "staging.release.json").read_text())
    assert [each["version"] for each in manifest["served"]] == [done["copy"]] == [2]


def _answers_as_the_engine_does(site: Site, folder: Path) -> None:
    cells = pbmc_cells()[:30]
    cells.write_h5ad(folder / "cells.h5ad")
    site.succeed("embed", "staging", folder / "cells.h5ad", "--out", folder / "embedded.h5ad")
    found = anndata.read_h5ad(folder / "embedded.h5ad").obsm["X_scGPT"]
    engine = Embedder.load(SHIPPED, device="cpu", precision="float32")
    wanted = engine.embed_cells(cells.X, list(cells.var_names)).embeddings
    assert np.abs(np.asarray(found, np.float32) - wanted).max() < 1e-3
