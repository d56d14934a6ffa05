"""Gates on the command line, between two workspaces that know nothing of each other.

The second has a metastore of its own: a version is downloaded, registered there and compared by
sha256. The copy then answers as the engine does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from scgpt_databricks.model import contract, registry
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells
from tests import variants
from tests.acceptance.release.environments import validated
from tests.acceptance.site import Site

MODEL = "scgpt.scgpt_gene_embeddings"
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
# The machine of the tests is busy, and nothing here is about latency.
_FROM_DEV = 'source = "dev"\napproval = false\nslowdown = 3'

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


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
            site.succeed("deploy", name, limit_s=600)
        yield site
    finally:
        site.stop_workspace()
        other.stop_workspace()


def failed(site: Site, number: int) -> set[str]:
    """Promote a version, be refused, and return the gates that refused, by the history."""
    before = (site.folder / "staging.release.json").read_bytes()
    done = site.scgpt("promote", "dev", "staging", "--version", str(number), limit_s=600)
    assert done.code == 3, done.err
    assert (site.folder / "staging.release.json").read_bytes() == before
    last = site.succeed("history", "staging", "--json").json["history"][-1]
    assert last["state"] == "refused"
    gates: list[dict[str, Any]] = last["facts"]["gates"]
    return {gate["name"] for gate in gates if gate["state"] == "failed"}


@contextmanager
def registry_of(site: Site, profile: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point MLflow to a workspace, for the length of a block."""
    patch.setenv("DATABRICKS_CONFIG_FILE", str(site.folder / "databrickscfg"))
    patch.setenv("DATABRICKS_CONFIG_PROFILE", profile)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


def download(catalog: str, folder: Path) -> Path:
    uri = f"models:/{catalog}.{MODEL}/1"
    return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))


def register(files: Path, **tags: str) -> int:
    """Register what a fork's build would: files of its own, all tags as it says."""
    name = f"dev.{MODEL}"
    all_tags = {**registry.get(name, 1).tags, registry.VALIDATED: "true", **tags}
    return int(MlflowClient().create_model_version(name, str(files), tags=all_tags).version)


def test_only_what_answers_as_it_should_comes_to_the_other_workspace(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = ("--licence", "MIT", "--provenance", "made for a test", "--no-clean-environment")
    site.succeed("build", "dev", "--checkpoint", SHIPPED, *origin, limit_s=600)
    validated(site, f"dev.{MODEL}", 1)
    first = site.succeed("promote", "dev", "staging", "--json", limit_s=600).json
    assert {gate["state"] for gate in first["gates"]} == {"passed"}
    with registry_of(site, "other", monkeypatch):
        copy = download("staging", tmp_path / "copy")
    _answers_as_the_engine_does(copy)

    with registry_of(site, "local", monkeypatch):
        files = download("dev", tmp_path / "files")
        low = variants.bins_off_by_one(files, tmp_path / "low")
        off_by_one = register(low, engine_digest="f" * 64)
        shifted = shutil.copytree(files, tmp_path / "shifted")
        variants.shift_vocabulary(next(shifted.rglob("vocab.json")).parent)
        other = register(shifted, checkpoint_sha256="e" * 64)
    assert failed(site, off_by_one) == {"likeness"}
    assert failed(site, other) >= {"likeness", "metrics"}


def _answers_as_the_engine_does(files: Path) -> None:
    cells = pbmc_cells()[:30]
    genes = list(cells.var_names)
    packed = pd.DataFrame({contract.PACKED: [encode_cells(cells.X, genes)]})
    model = mlflow.pyfunc.load_model(str(files))
    found = model.predict(packed, params={"task": contract.CELL_EMBEDDINGS})["embedding"]
    wanted = Embedder.load(SHIPPED).embed_cells(cells.X, genes).embeddings
    np.testing.assert_allclose(np.array(list(found)), wanted, atol=1e-6)
