"""Draw a picture of an embedding."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from scgpt_databricks.whole_file import draft


def umap_picture(embedding: np.ndarray, labels: np.ndarray, title: str, path: Path) -> None:
    """Write a UMAP of `embedding` [cells, dim], coloured by `labels`; the PNG says its title."""
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
    with draft(path) as drawn:
        figure.savefig(drawn, format="png", metadata={"Title": title})
    plt.close(figure)
