"""Scores of a checkpoint, what they become, and the statistics that are kept beside a version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence.card import model_card
from scgpt_databricks.model.evidence.evaluation import (
    Evaluation,
    evaluate_checkpoint,
    log_normalised,
)
from scgpt_databricks.model.evidence.labelled import read_labelled
from scgpt_databricks.model.evidence.parity import Parity
from scgpt_databricks.model.scgpt.embedder import Embedder

TAGS = {**dict.fromkeys(registry.DIGESTS, "a" * 64), registry.COMMIT: "c0ffee"}


@pytest.fixture
def evaluation(labelled_file: Path, embedder: Embedder) -> Evaluation:
    data = read_labelled(labelled_file, "type", "batch")
    return evaluate_checkpoint(embedder, data, None, lambda _: None)


def test_a_checkpoint_is_scored_beside_pca(evaluation: Evaluation) -> None:
    names = {"knn_accuracy", "ari", "nmi", "silhouette", "batch_mixing"}
    assert set(evaluation.scores) == set(evaluation.pca) == names
    metrics = evaluation.metrics
    assert len(metrics) == 4 * len(names)
    assert metrics["ari_low"] <= metrics["ari"] <= metrics["ari_high"]
    assert metrics["pca_ari"] == evaluation.pca["ari"].value
    assert registry.read_metrics(evaluation.tags[registry.METRICS]) == evaluation.scores


def test_tags_fit_into_unity_catalog(evaluation: Evaluation) -> None:
    for key, value in evaluation.tags.items():
        assert len(value) <= 1000
        assert not set(key) & set(".,-=/:")


def test_the_baseline_holds_deciles_and_moments(evaluation: Evaluation) -> None:
    found = json.loads(json.dumps(evaluation.baseline))
    assert found["data"]["digest"] == evaluation.data.digest
    assert found["types"] == {"B": 20, "T": 20}
    counts = np.asarray(evaluation.data.cells.counts.sum(axis=1)).ravel()
    assert found["cells"]["counts"][::5] == [counts.min(), np.median(counts), counts.max()]
    assert all(len(deciles) == 11 for deciles in found["cells"].values())
    width = len(found["embedding"]["mean"])
    assert width == len(found["embedding"]["std"]) > 0


def test_the_card_shows_the_evidence(evaluation: Evaluation, embedder: Embedder) -> None:
    card = model_card(embedder, {**TAGS, registry.LICENCE: "MIT"}, evaluation, Parity(20, 2.4e-7))
    assert f"| ari | {evaluation.scores['ari']} | {evaluation.pca['ari']} |" in card
    assert "| licence | MIT |" in card
    assert "| provenance | not named |" in card
    assert "No scores of the champion: there is no champion yet." in card
    assert "## Parity\n\nNo number of an embedding of 20 cells is further than 2.4e-07" in card
    assert "Not evaluated" in model_card(embedder, TAGS, None, Parity(note="no"))


def test_counts_are_normalised_and_other_values_are_left() -> None:
    counts = sparse.csr_matrix(np.array([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]], np.float32))
    found = log_normalised(counts).toarray()
    np.testing.assert_allclose(np.expm1(found).sum(axis=1), [1e4, 0, 1e4], rtol=1e-5)
    assert log_normalised(sparse.csr_matrix(found)).toarray().tolist() == found.tolist()


def test_cells_without_a_known_gene_are_refused(labelled_file: Path, embedder: Embedder) -> None:
    import anndata

    cells = anndata.read_h5ad(labelled_file)
    cells.var_names = [f"unknown {i}" for i in range(cells.n_vars)]
    cells.write_h5ad(labelled_file)
    data = read_labelled(labelled_file, "type")
    with pytest.raises(InvalidRequest):
        evaluate_checkpoint(embedder, data, None, lambda _: None)
