"""From nothing to real cells embedded through a deployed endpoint, in one command."""

from __future__ import annotations

import json
import subprocess
import time

import anndata
import numpy as np
import pytest

from scgpt_databricks.infra.layout import ROOT
from tests.acceptance.site import Site
from tests.unit.docs.test_figures import readme_figures

pytestmark = pytest.mark.acceptance


def summary(site: Site) -> dict[str, object]:
    found: dict[str, object] = json.loads((site.folder / "quickstart/summary.json").read_text())
    return found


def test_the_figures(quickstart: Site) -> None:
    found = json.loads((quickstart.folder / "first.json").read_text())
    assert found.keys() == {*summary(quickstart), "next"}
    assert (found["cells"], found["embedding_dim"]) == (700, 64)
    for name, value in readme_figures().items():
        assert found[name] == pytest.approx(value, abs=0.003), name
    assert found["checkpoint"] == "shipped"
    assert found["requests_sent"] == 7
    assert found["inference_table_rows"] == found["requests_sent"]
    assert found["second_plan_changes"] == 0
    assert found["endpoint_state"] == "READY"
    assert found["model_version"] == 1
    assert "databricks/databricks 1.99.0" in found["provider"]
    assert found["seconds"].keys() == {
        "workspace", "checkpoint", "registry", "build", "serving", "monitoring", "embed",
        "evaluate", "inference_table", "second_plan",
    }  # fmt: skip


def test_the_cells(quickstart: Site) -> None:
    cells = anndata.read_h5ad(quickstart.folder / "quickstart/pbmc_scgpt.h5ad")
    embeddings = cells.obsm["X_scGPT"]
    assert (embeddings.shape, embeddings.dtype) == ((700, 64), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), np.ones(700), atol=1e-5)
    assert "bulk_labels" in cells.obs
    manifest = json.loads(quickstart.manifest.read_text())
    assert cells.uns["scgpt"]["model_digest"] == manifest["served"][0]["checkpoint_sha256"]


def test_the_picture(quickstart: Site) -> None:
    picture = (quickstart.folder / "quickstart/umap.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) > 20_000


def test_credentials_are_the_owners_alone(quickstart: Site) -> None:
    config = quickstart.folder / "databrickscfg"
    assert config.stat().st_mode & 0o777 == 0o600
    for path in quickstart.folder.rglob("*"):
        if path == config or not path.is_file() or "workspace" in path.parts:
            continue
        assert quickstart.token().encode() not in path.read_bytes(), f"{path} holds the token"


def test_everything_it_made_lies_together(quickstart: Site) -> None:
    """So that two places, deployed side by side, never meet in one synthesis folder or state."""
    made = {path.name for path in quickstart.folder.iterdir()}
    assert {"cdktf.out", "state", "deploy", "demo", "workspace", "quickstart"} <= made
    serving = quickstart.folder / "cdktf.out/stacks/local-serving/cdk.tf.json"
    backend = json.loads(serving.read_text())["terraform"]["backend"]["local"]
    assert (serving.parent / backend["path"]).resolve().parent == quickstart.folder / "state"


def test_again_it_changes_nothing(quickstart: Site) -> None:
    manifest, before = quickstart.manifest.read_bytes(), quickstart.versions()
    tracked = git_status()
    started = time.monotonic()
    again = quickstart.succeed("quickstart", "--port", str(quickstart.port), "--json").json
    assert time.monotonic() - started < 120
    assert quickstart.manifest.read_bytes() == manifest
    assert quickstart.versions() == before
    first = json.loads((quickstart.folder / "first.json").read_text())
    assert {**again, "seconds": None} == {**first, "seconds": None}
    assert git_status() == tracked


def git_status() -> str:
    """Tracked files that differ; what others have made is not our business."""
    done = subprocess.run(
        ["git", "diff", "--stat", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_an_unknown_step(quickstart: Site) -> None:
    done = quickstart.scgpt("quickstart", "--stop-after", "bake")
    assert done.code == 2
    assert "'bake' is not one of 'workspace', 'checkpoint'" in done.err
