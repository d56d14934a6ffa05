"""Statistics of the cells that a version was evaluated on, for comparing later requests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..wire.embeddings import CellEmbeddings
from .labelled import Labelled
from .reference import KEY, freeze, known_share, sample_of_cells

FORMAT = 2
FILE = "baseline.json"
"""Lies among the artifacts of a version, so that every copy of it has it too."""

_DECILES = np.linspace(0, 1, 11)


def baseline(data: Labelled, found: CellEmbeddings) -> dict[str, Any]:
    """Return statistics of the cells and of their embeddings, ready for JSON.

    ``cells`` holds eleven values for each figure, its deciles: a tenth of the cells lies between
    two of them, as tests of drift by bins want it. ``embedding`` holds mean and standard deviation
    of each dimension. ``reference`` is what drift is tested against; its data sets are the batches.
    """
    counts = data.cells.counts
    totals = np.asarray(counts.sum(axis=1)).ravel()
    detected = np.diff(counts.indptr)
    names, sizes = np.unique(data.types, return_counts=True)
    return {
        "format": FORMAT,
        "data": {"name": data.name, "digest": data.digest, "cells": len(data.types)},
        "model_digest": found.digest,
        "cells": {
            "counts": _deciles(totals),
            "detected_genes": _deciles(detected),
            "matched_genes": _deciles(found.matched),
            "unknown_genes": _deciles(found.unknown),
            "truncated_genes": _deciles(found.truncated),
            "known_fraction": _deciles(found.matched / np.maximum(detected, 1)),
        },
        "types": {str(name): int(size) for name, size in zip(names, sizes, strict=True)},
        "embedding": {
            "mean": _rounded(found.embeddings.mean(axis=0)),
            "std": _rounded(found.embeddings.std(axis=0)),
        },
        KEY: _reference(data, found),
    }


def _reference(data: Labelled, found: CellEmbeddings) -> dict[str, Any]:
    alone = np.full(len(data.types), data.name)
    sample, genes, rates = sample_of_cells(
        data.cells.counts,
        data.cells.genes,
        alone if data.batches is None else data.batches,
        [data.types],
        found.embeddings,
        known_share(found.matched, found.unknown),
    )
    return freeze(
        sample,
        found.matched,
        found.unknown,
        digest=found.digest,
        genes=genes,
        rates=rates,
        kinds=len(np.unique(data.types)),
    )


def _deciles(values: ArrayLike) -> list[float]:
    return _rounded(np.quantile(np.asarray(values, dtype=np.float64), _DECILES))


def _rounded(values: ArrayLike) -> list[float]:
    return [float(f"{value:.6g}") for value in np.asarray(values)]
