"""`scgpt build` with labelled cells: evidence, the same version again, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from scgpt_databricks.model.scgpt.demo import Recipe, pbmc_cells, random_checkpoint
from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance

MODEL = "main.scgpt.scgpt_gene_embeddings"
TYPES = ("--labels", "bulk_labels", "--batches", "phase")
HERE = "--no-clean-environment"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "pbmc.h5ad"
    pbmc_cells().write_h5ad(path)
    return path


@pytest.fixture
def client(registry: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.MlflowClient]:
    """MLflow, pointed to the workspace of the site."""
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(registry.folder / "databrickscfg"))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "local")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def build(site: Site, checkpoint: Path, *options: str | Path) -> dict[str, Any]:
    return site.succeed("build", "local", "--checkpoint", checkpoint, *options, "--json").json


@pytest.mark.usefixtures("client")
def test_a_version_carries_its_evidence(
    registry: Site, client: mlflow.MlflowClient, labelled: Path, tmp_path: Path
) -> None:
    from scgpt_databricks.model import registry as versions

    old = random_checkpoint(tmp_path / "old", Recipe(seed=31, steps=0))
    new = random_checkpoint(tmp_path / "new", Recipe(seed=32, steps=0))
    evaluate = ("--evaluate", labelled, *TYPES, HERE)
    first = build(registry, old, *evaluate)
    origin = ("--licence", "MIT", "--provenance", "made for a test")
    second = build(registry, new, *evaluate, *origin)
    assert (second["reused"], second["validated"]) == (False, False)
    version = versions.get(MODEL, second["version"])
    assert {k: [s.value, s.low, s.high] for k, s in version.metrics.items()} == {
        name: [score["value"], score["low"], score["high"]]
        for name, score in second["metrics"].items()
    }
    origin_tags = {"licence": "MIT", "provenance": "made for a test", "validated": "false"}
    assert version.tags.items() >= origin_tags.items()
    assert version.aliases == ("champion",)
    assert versions.get(MODEL, first["version"]).aliases == ("previous",)

    run = client.get_run(version.run_id)
    metrics = run.data.metrics
    assert metrics["champion_ari"] == first["metrics"]["ari"]["value"]
    assert metrics["ari"] == second["metrics"]["ari"]["value"]
    assert {"pca_knn_accuracy", "batch_mixing_low"} <= set(metrics)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.tags[0].value) == ("pbmc", "evaluation")
    assert version.tags["evaluated_on"].startswith(data.dataset.digest)
    assert f"| version {first['version']} |" in version.description
    file = f"models:/{MODEL}/{version.number}/artifacts/baseline.json"
    baseline = json.loads(Path(mlflow.artifacts.download_artifacts(file)).read_text())
    assert baseline["data"]["cells"] == 700
    assert baseline["model_digest"] == second["checkpoint_sha256"]

    again = build(registry, new, *evaluate)
    assert {**again, "reused": False} == second
    without = build(registry, new, HERE)  # the evidence of before is still that version's
    assert (without["version"], without["reused"]) == (second["version"], True)
    other = build(registry, new, "--evaluate", labelled, "--labels", "phase", HERE)
    assert (other["version"] > second["version"], other["reused"]) == (True, False)


@pytest.mark.long
def test_a_clean_environment_is_made_of_the_logged_requirements(
    registry: Site, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    """Also later, of a version that was validated with the packages that were there."""
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=33, steps=0))
    first = build(registry, checkpoint, HERE)
    assert first["validated"] is False
    done = registry.succeed("build", "local", "--checkpoint", checkpoint, "--json")
    assert "validating it in a clean environment" in done.err
    assert done.json == {**first, "reused": True, "validated": True}
    assert client.get_model_version(MODEL, str(first["version"])).tags["validated"] == "true"
    done = registry.succeed("build", "local", "--checkpoint", checkpoint, "--json")
    assert "validating" not in done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--evaluate", "CELLS", "--labels", "none"], 1, "has no column 'none' in obs"),
        (["--evaluate", "CELLS", "--labels", "one"], 1, "all 700 cells have the label"),
        (["--evaluate", "CELLS"], 2, "--evaluate needs --labels COLUMN"),
        (["--labels", "bulk_labels"], 2, "need --evaluate FILE"),
        (["--evaluate", "nowhere.h5ad", "--labels", "x"], 2, "does not exist"),
        (["--licence", " "], 2, "one line of 1 to 1,000 characters"),
        (["--provenance", "x" * 1001], 2, "one line of 1 to 1,000 characters"),
    ],
)
def test_evidence_that_cannot_be_had_is_refused_before_anything_is_logged(
    registry: Site, labelled: Path, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    import anndata

    cells = anndata.read_h5ad(labelled)
    cells.obs["one"] = "T"
    cells.write_h5ad(tmp_path / "cells.h5ad")
    given = [str(tmp_path / "cells.h5ad") if each == "CELLS" else each for each in options]
    before = registry.versions()
    done = registry.scgpt("build", "local", "--checkpoint", tmp_path, *given, HERE)
    assert (done.code, said in " ".join(done.err.split())) == (code, True), done.err
    assert registry.versions() == before


def test_a_manifest_that_the_registry_does_not_know_is_named(
    registry: Site, labelled: Path, tmp_path: Path
) -> None:
    from scgpt_databricks.infra import settings
    from scgpt_databricks.scripts.release.point import point_to
    from tests.unit.infra.manifests import served

    local = settings.load("local", registry.folder)
    before = registry.manifest.read_bytes() if registry.manifest.exists() else None
    point_to(local, [served(9999, 100, "champion")])
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(seed=34, steps=0))
    evaluate = ("--evaluate", labelled, *TYPES, HERE)
    try:
        done = registry.scgpt("build", "local", "--checkpoint", checkpoint, *evaluate)
    finally:
        registry.manifest.unlink()
        if before:
            registry.manifest.write_bytes(before)
    assert done.code == 1
    assert "and the registry disagree" in done.err
    assert "has no version 9999" in done.err
