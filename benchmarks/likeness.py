"""How alike two embeddings of the same cells are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scgpt_databricks.model.judge.likeness import nearest, overlap

Array = NDArray[np.float32]


def cosines(a: Array, b: Array) -> dict[str, float]:
    cosine = (a * b).sum(axis=1)
    return {"mean cosine": float(cosine.mean()), "least cosine": float(cosine.min())}


def likeness(a: Array, b: Array) -> dict[str, float]:
    return {**cosines(a, b), "neighbour overlap": overlap(a, b)}


def likeness_to_mean(x: Array, draws: list[Array]) -> dict[str, float]:
    """Against the mean of draws, which is where repeating upstream would lead."""
    return {"overlap with the mean draw": overlap(x, np.mean(draws, axis=0))}


def accuracy(x: Array, labels: NDArray[Any]) -> dict[str, float]:
    """Share of cells whose label is the most frequent one of its 15 nearest cells."""
    names, label = np.unique(labels, return_inverse=True)
    votes = np.eye(len(names))[label[nearest(x)]].sum(axis=1)
    return {"label of neighbours": float((votes.argmax(axis=1) == label).mean())}


def mean(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean over the rows; of what is called least, the least."""
    return {
        name: float((np.min if name.startswith("least") else np.mean)([row[name] for row in rows]))
        for name in rows[0]
    }


def deviation(rows: list[dict[str, float]]) -> dict[str, float]:
    """The standard deviation over the rows; none of what is called least."""
    return {
        name: float(np.std([row[name] for row in rows], ddof=1))
        for name in rows[0]
        if not name.startswith("least")
    }


def spread(rows: list[dict[str, float]], name: str) -> str:
    values = [row[name] for row in rows]
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
