"""Measure how well an embedding separates known cell types, and draw it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

NEIGHBOURS, FOLDS = 10, 5


def knn_accuracy(embedding: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of cells whose type the 10 nearest cells of the other folds name.

    Parameters
    ----------
    embedding
        float [cells, dim].
    labels
        str [cells].

    Returns
    -------
    float
        Mean accuracy over 5 stratified folds (fixed shuffle), 0 to 1.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_score(KNeighborsClassifier(NEIGHBOURS), embedding, labels, cv=folds)
    return round(float(scores.mean()), 4)


def principal_components(cells: AnnData, components: int = 50) -> np.ndarray:
    """Return the PCA of the log-normalised values, the linear reference, [cells, components]."""
    from sklearn.decomposition import PCA

    return np.asarray(PCA(components, svd_solver="full").fit_transform(cells.X.toarray()))


def umap_picture(embedding: np.ndarray, labels: np.ndarray, title: str, path: Path) -> None:
    """Write a UMAP of `embedding` [cells, dim], coloured by `labels`, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        points = UMAP(random_state=0, n_jobs=1).fit_transform(embedding)
    figure, axes = plt.subplots(figsize=(8, 5.5), dpi=120, layout="constrained")
    for index, label in enumerate(np.unique(labels)):
        chosen = labels == label
        axes.scatter(*points[chosen].T, s=9, color=plt.get_cmap("tab10")(index % 10), label=label)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9, markerscale=2
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
