"""Scores of embeddings whose quality is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.judge.metrics import (
    FOLDS,
    NEIGHBOURS,
    evaluate,
    knn_accuracy,
    principal_components,
)
from scgpt_databricks.model.scgpt.demo import pbmc_cells

TYPES = np.repeat(["B", "NK", "T"], 40)
BATCHES = np.tile(["one", "two"], 60)


def cells(apart: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.eye(8)[:3] * apart
    return rng.normal(size=(120, 8)) + np.repeat(centres, 40, axis=0)


def test_separate_types_score_high_and_noise_scores_low() -> None:
    good, noise = evaluate(cells(12), TYPES, BATCHES), evaluate(cells(0), TYPES, BATCHES)
    for name in ("knn_accuracy", "ari", "nmi"):
        assert good[name].value == 1
        assert noise[name].value < 0.5
        assert noise[name].high < good[name].low
    assert good["silhouette"].value > 0.5 > 0.1 > noise["silhouette"].value


def test_batch_mixing_is_one_where_batches_are_mixed_and_none_where_they_are_apart() -> None:
    assert evaluate(cells(0), TYPES, BATCHES)["batch_mixing"].value == pytest.approx(1, abs=0.05)
    assert evaluate(cells(30), TYPES, TYPES)["batch_mixing"].value == 0
    assert "batch_mixing" not in evaluate(cells(0), TYPES)


def test_intervals_hold_the_value_and_come_from_the_seed() -> None:
    one, same, other = (evaluate(cells(3), TYPES, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one["silhouette"] != other["silhouette"]
    for score in one.values():
        assert score.low <= score.value <= score.high
        assert score.low < score.high


def test_intervals_of_poor_clusters_hold_their_score() -> None:
    """Drawing cells twice flatters them; a version would fall below its own interval."""
    many = np.repeat([f"type {i}" for i in range(10)], 12)
    for name, score in evaluate(cells(1), many).items():
        assert score.low <= score.value <= score.high, name


def test_the_interval_of_accuracy_is_that_of_a_share() -> None:
    score = evaluate(cells(2.5), TYPES)["knn_accuracy"]
    deviation = (score.value * (1 - score.value) / 120) ** 0.5
    assert score.high - score.low == pytest.approx(2 * 1.96 * deviation, rel=0.25)


def test_accuracy_is_the_mean_over_folds_that_scikit_learn_gives() -> None:
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    adata = pbmc_cells()
    matrix: Any = adata.X
    linear, labels = principal_components(matrix), adata.obs["bulk_labels"].to_numpy(str)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    each = cross_val_score(KNeighborsClassifier(NEIGHBOURS), linear, labels, cv=folds)
    assert knn_accuracy(linear, labels) == round(float(each.mean()), 4) == 0.8014


@pytest.mark.parametrize(
    ("labels", "code", "said"),
    [
        ([], "no_labels", "0 of 120 cells have a label"),
        ([None] * 120, "no_labels", "0 of 120"),
        ([float("nan"), *TYPES[1:]], "no_labels", "119 of 120"),
        (["T"] * 120, "one_label", "all 120 cells have the label 'T'"),
        ([*["rare"] * 4, *TYPES[4:]], "rare_labels", "'rare' has 4 cells"),
    ],
)
def test_data_that_cannot_be_scored_is_refused(labels: Any, code: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        evaluate(cells(3), labels)
    assert refused.value.code == code


def test_fewer_cells_than_neighbours_are_refused() -> None:
    few = [*["B"] * 6, *["T"] * 6]
    with pytest.raises(InvalidRequest, match=r"there are 12 cells; .* takes 13 or more"):
        evaluate(cells(3)[:12], few)
    assert evaluate(cells(3)[:13], [*few, "T"])["knn_accuracy"].value <= 1


@pytest.mark.parametrize("batches", [["one"] * 120, ["one", "two"], [None, *BATCHES[1:]]])
def test_one_batch_is_no_mixing(batches: list[str | None]) -> None:
    with pytest.raises(InvalidRequest, match="batch mixing takes"):
        evaluate(cells(3), TYPES, batches)
