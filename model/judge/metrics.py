"""Score an embedding of labelled cells, with bootstrap intervals.

Each score is a mean, or a figure, over per-cell results that exist once: predictions of held-out
folds, cluster numbers, silhouettes, shares of neighbours. The bootstrap draws cells again from
those results; nothing is fitted again. An interval therefore says how far another sample of such
cells would move the score, with the clusters and folds as they are. It always holds the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..errors import InvalidRequest

NEIGHBOURS, FOLDS, MIXING_NEIGHBOURS = 10, 5, 15
DRAWS = 200
FEWEST = 13
"""Cells of which, without one fold of five, 10 neighbours are left."""

Floats = NDArray[np.floating]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Score:
    """A score and the 95 % bootstrap interval around it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def evaluate(
    embedding: Floats, labels: ArrayLike, batches: ArrayLike | None = None, *, seed: int = 0
) -> dict[str, Score]:
    """Score an embedding by the cell types that it separates.

    Parameters
    ----------
    embedding
        float [cells, dim].
    labels
        Type of each cell.
    batches
        Batch of each cell, where there are several.
    seed
        Of the clusters and the bootstrap.

    Returns
    -------
    dict
        ``knn_accuracy``; ``ari`` and ``nmi`` of as many k-means clusters as there are types;
        ``silhouette`` (-1 to 1); ``batch_mixing``: neighbours from other batches over their share
        if batches were mixed at random (1: mixed). More is better in all of them.

    Raises
    ------
    InvalidRequest
        ``no_labels``, ``one_label``, ``rare_labels``, ``too_few_cells`` or ``one_batch``.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score as ari
    from sklearn.metrics import normalized_mutual_info_score as nmi
    from sklearn.metrics import silhouette_samples

    types = check_labels(labels, len(embedding))
    kinds = len(np.unique(types))
    type_of = np.unique(types, return_inverse=True)[1]
    clusters = KMeans(kinds, n_init=10, random_state=seed).fit_predict(embedding)
    right, widths = held_out(embedding, types), silhouette_samples(embedding, types)
    draws = np.random.default_rng(seed).integers(len(types), size=(DRAWS, len(types)))
    scores = {
        "knn_accuracy": _score(lambda cells: right[cells].mean(), draws),
        "ari": _score(lambda cells: ari(type_of[cells], clusters[cells]), draws),
        "nmi": _score(lambda cells: nmi(type_of[cells], clusters[cells]), draws),
        "silhouette": _score(lambda cells: widths[cells].mean(), draws),
    }
    if batches is not None:
        mixed = _mixing(embedding, check_batches(batches, len(embedding)))
        scores["batch_mixing"] = _score(lambda cells: mixed[cells].mean(), draws)
    return scores


def knn_accuracy(embedding: Floats, labels: ArrayLike) -> float:
    """Return the share of cells whose type the 10 nearest cells of the other folds name."""
    return round(float(held_out(embedding, check_labels(labels, len(embedding))).mean()), 4)


def held_out(embedding: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return for each cell whether its type was named right while its fold was held out.

    Five stratified folds with a fixed shuffle: the same cells meet in every version.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    named = cross_val_predict(KNeighborsClassifier(NEIGHBOURS), embedding, labels, cv=folds)
    return np.asarray(named == labels)


def check_labels(labels: ArrayLike, cells: int) -> Labels:
    """Return the labels as strings, or refuse what cannot be scored.

    Raises
    ------
    InvalidRequest
        ``no_labels``, ``one_label``, ``rare_labels`` or ``too_few_cells``.
    """
    found = np.asarray(labels, dtype=object)
    missing = sum(label is None or label != label or label == "" for label in found)
    if len(found) != cells or not cells or missing:
        raise InvalidRequest(
            "no_labels",
            f"{len(found) - missing} of {cells} cells have a label; every cell needs one. Name "
            "the column that holds cell types, or leave unlabelled cells out.",
        )
    types = found.astype(str)
    names, counts = np.unique(types, return_counts=True)
    if len(names) < 2:
        raise InvalidRequest(
            "one_label",
            f"all {cells} cells have the label {str(names[0])!r}; telling types apart takes two or "
            "more. Evaluate on cells of several types.",
        )
    if cells < FEWEST:
        raise InvalidRequest(
            "too_few_cells",
            f"there are {cells} cells; naming types by {NEIGHBOURS} neighbours from the other "
            f"folds takes {FEWEST} or more. Evaluate on more cells.",
        )
    if counts.min() < FOLDS:
        raise InvalidRequest(
            "rare_labels",
            f"the label {str(names[counts.argmin()])!r} has {counts.min()} cells; each needs "
            f"{FOLDS} or more, one for each fold. Leave rare types out.",
        )
    return np.asarray(types, dtype=np.str_)


def check_batches(batches: ArrayLike, cells: int) -> Labels:
    """Return the batches as strings, or refuse them (``one_batch``)."""
    found = np.asarray(batches, dtype=object)
    named = {str(batch) for batch in found if batch is not None and batch == batch}
    missing = sum(batch is None or batch != batch for batch in found)
    if len(named) < 2 or len(found) - missing != cells:
        raise InvalidRequest(
            "one_batch",
            f"{len(found) - missing} of {cells} cells name {len(named)} batches; batch mixing "
            "takes one for each cell, and two different ones. Leave the batch column out.",
        )
    return found.astype(np.str_)


def principal_components(
    cells: sparse.csr_matrix | sparse.csr_array, components: int = 50
) -> Floats:
    """Return the PCA of log-normalised values, the linear reference: float [cells, components].

    There are fewer components where there are fewer cells or genes.
    """
    from sklearn.decomposition import PCA

    most = min(components, *cells.shape)
    return np.asarray(PCA(most, svd_solver="full").fit_transform(cells.toarray()))


def _mixing(embedding: Floats, batches: Labels) -> Floats:
    from sklearn.neighbors import NearestNeighbors

    _, batch, sizes = np.unique(batches, return_inverse=True, return_counts=True)
    count = min(MIXING_NEIGHBOURS, len(batch) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(embedding).kneighbors(return_distance=False)
    others = (batch[nearest] != batch[:, None]).mean(axis=1)
    return np.asarray(others / ((len(batch) - sizes[batch]) / (len(batch) - 1)))


def _score(figure: Callable[[NDArray[np.int64]], float], draws: NDArray[np.int64]) -> Score:
    value = float(figure(np.arange(draws.shape[1])))
    drawn = [figure(cells) for cells in draws]
    # Drawing a cell twice makes clusters agree better than they do (NMI by 0.02 and more), so the
    # interval is moved back around the value.
    low, high = np.quantile(drawn, [0.025, 0.975]) - np.median(drawn) + value
    return Score(round(value, 4), round(float(low), 4), round(float(high), 4))
