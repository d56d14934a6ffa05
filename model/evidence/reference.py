"""The frozen side of the drift test as JSON: how a version's baseline holds it, and how it is read.

It is made of labelled cells when a version is built, or of the requests of an endpoint's first
weeks. Either way its data sets are named: a reference of one data set cannot say how much data sets
differ anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..errors import InvalidRequest
from ..judge.drift import FEWEST_CELLS, Reference, Sample, make_reference
from ..wire.codec import PackedEmbeddings, decode_embeddings, encode_embeddings

KEY, FORMAT = "reference", 1
CELLS_OF_A_DATA_SET, MOST_DATA_SETS = 100, 100
"""Bounds of a sample; more cells of one data set say little more."""
MOST_KEPT = 3_000
"""Cells of a frozen sample, all data sets together: some megabytes."""

_KINDS = (4, 12)  # neighbourhoods
_COMMON, _MOST_COMMON, _FEWEST_COMMON = 0.2, 300, 20
_GONE = 0.1  # of its usual share


@dataclass(frozen=True)
class Frozen:
    """A frozen reference.

    Parameters
    ----------
    digest
        Of the model that embedded its cells.
    genes, rates
        Genes that every data set expresses, and the share of cells that do.
    """

    digest: str
    reference: Reference
    genes: list[str]
    rates: NDArray[np.float64]


def common_genes(rates: NDArray[np.float64], genes: Sequence[str]) -> list[int]:
    """Return which genes are expressed by many cells of every group: their loss is no biology.

    Parameters
    ----------
    rates
        float64 ``[groups, genes]``: share of a group's cells that express a gene.
    """
    least = rates.min(axis=0) if len(rates) else np.zeros(len(genes))
    order = np.argsort(-least, kind="stable")[:_MOST_COMMON]
    found = [int(at) for at in order if least[at] >= _COMMON]
    return sorted(found) if len(found) >= _FEWEST_COMMON else []


def lost_share(rates: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the common genes that nearly no cell of a data set expresses.

    Parameters
    ----------
    rates
        float64 ``[data sets, common genes]``.
    usual
        float64 ``[common genes]``, in the reference; none: NaN is returned.
    """
    if not len(usual):
        return np.full(len(rates), np.nan)
    return np.asarray((rates < _GONE * usual).mean(axis=1), np.float64)


def freeze(
    sample: Sample,
    matched: NDArray[np.int64],
    unknown: NDArray[np.int64],
    *,
    digest: str,
    genes: Sequence[str],
    rates: NDArray[np.float64],
    kinds: int = 8,
) -> dict[str, Any]:
    """Return a reference as JSON.

    Parameters
    ----------
    matched, unknown
        int64 ``[cells]``: genes of each cell.
    genes, rates
        The common genes, and the share of cells that express each.
    kinds
        Kinds of cells that are expected in it.

    Raises
    ------
    InvalidRequest
        ``no_embeddings`` or ``too_few_cells``.
    """
    kept = _kept(sample.data_set, len(sample.names))
    if sample.embeddings is None:
        raise InvalidRequest("no_embeddings", "a reference needs embeddings.")
    vectors = sample.embeddings[kept]
    sample = Sample(
        sample.names,
        sample.data_set[kept],
        sample.sizes[kept],
        sample.known[kept],
        vectors,
        sample.whole,
        sample.lost,
    )
    low, high = _KINDS
    made = make_reference(sample, min(max(kinds, low), high))
    cells = PackedEmbeddings(
        [str(at) for at in sample.data_set],
        vectors,
        matched[kept],
        unknown[kept],
        np.zeros(len(kept), np.int64),
        not_found=[],
        digest=digest,
    )
    return {
        "format": FORMAT,
        "data_sets": list(sample.names),
        "cells": encode_embeddings(cells, "float16"),
        "sizes": _numbers(sample.sizes),
        "whole": _numbers(sample.whole),
        "lost": _numbers(sample.lost),
        "centres": [_numbers(line, 6) for line in made.centres],
        "gamma": made.gamma,
        "spread": made.spread,
        "genes": list(genes),
        "rates": _numbers(rates),
    }


def thaw(baseline: Mapping[str, Any]) -> Frozen:
    """Read the reference of a baseline.

    Raises
    ------
    InvalidRequest
        ``baseline_too_old``: it was made before baselines had one. ``baseline_damaged``.
    """
    if not isinstance(baseline, Mapping):
        raise InvalidRequest("baseline_damaged", "the baseline is no object of JSON.")
    if KEY not in baseline:
        raise InvalidRequest(
            "baseline_too_old",
            "the baseline holds deciles only, for its version was built before drift was tested. "
            "Freeze one of the requests that are logged: `scgpt monitor freeze ENV --days 28`.",
        )
    try:
        return _thawed(baseline[KEY])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InvalidRequest("baseline_damaged", f"the baseline cannot be read: {error}") from error


def _thawed(found: Mapping[str, Any]) -> Frozen:
    cells = decode_embeddings(found["cells"])
    sample = Sample(
        tuple(found["data_sets"]),
        np.array([int(name) for name in cells.names], np.int64),
        np.array(found["sizes"], np.float64),
        known_share(cells.matched, cells.unknown),
        cells.embeddings,
        np.array(found["whole"], np.float64),
        np.array(found["lost"], np.float64),
    )
    centres, rates = np.array(found["centres"], np.float32), np.array(found["rates"], np.float64)
    genes, gamma, spread = list(found["genes"]), float(found["gamma"]), float(found["spread"])
    n, (of, width) = len(sample.names), cells.embeddings.shape
    for name, values, shape in (
        ("sizes", sample.sizes, (of,)),
        ("whole", sample.whole, (n,)),
        ("lost", sample.lost, (n,)),
        ("centres", centres, (len(centres), width)),
        ("rates", rates, (len(genes),)),
    ):
        if values.shape != shape:
            raise ValueError(f"{name} has the shape {values.shape}, not {shape}")
    if not of or sample.data_set.min() < 0:
        raise ValueError("its cells are of no data set")
    if not (np.isfinite(centres).all() and 0 < gamma < np.inf and 0 < spread < np.inf):
        raise ValueError("centres, gamma or spread are not finite")
    return Frozen(cells.digest, Reference(sample, centres, gamma, spread), genes, rates)


def known_share(matched: NDArray[np.int64], unknown: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each cell's genes that the vocabulary knows; NaN where there are none."""
    seen = (matched + unknown).astype(np.float64)
    share: NDArray[np.float64] = np.divide(
        matched, seen, out=np.full(len(seen), np.nan), where=seen > 0
    )
    return share


def sample_of_cells(
    counts: sparse.csr_matrix,
    genes: Sequence[str],
    data_sets: NDArray[np.str_],
    groups: Sequence[NDArray[np.str_]],
    embeddings: NDArray[np.float32],
    known: NDArray[np.float64],
) -> tuple[Sample, list[str], NDArray[np.float64]]:
    """Return labelled cells as a sample, with its common genes and their rates.

    Parameters
    ----------
    groups
        Labels of each cell; a common gene is one in every group of each.
    """
    names, data_set = np.unique(data_sets, return_inverse=True)
    expressed = counts.astype(bool).astype(np.float64)
    chosen = common_genes(_rates(expressed, [data_sets, *groups]), genes)
    by_set = _rates(expressed[:, chosen], [data_sets], fewest=1)
    usual = by_set.mean(axis=0)
    of_value = np.repeat(data_set, np.diff(counts.indptr))
    fractions = np.bincount(of_value, counts.data % 1 != 0, minlength=len(names))
    sample = Sample(
        tuple(map(str, names)),
        data_set.astype(np.int64),
        np.log1p(np.asarray(counts.sum(axis=1), np.float64).ravel()),
        known,
        embeddings,
        (fractions == 0).astype(np.float64),
        lost_share(by_set, usual),
    )
    return sample, [genes[at] for at in chosen], usual


def _rates(
    expressed: sparse.csr_matrix, labels: Sequence[NDArray[np.str_]], fewest: int = FEWEST_CELLS
) -> NDArray[np.float64]:
    found = []
    for each in labels:
        for name in np.unique(each):
            rows = np.flatnonzero(each == name)
            if len(rows) >= fewest:
                found.append(np.asarray(expressed[rows].mean(axis=0)).ravel())
    return np.array(found).reshape(len(found), expressed.shape[1])


def _kept(data_set: NDArray[np.int64], names: int) -> NDArray[np.int64]:
    """Return some cells of each data set, chosen by chance, so that all together are few."""
    each = min(CELLS_OF_A_DATA_SET, max(MOST_KEPT // max(names, 1), FEWEST_CELLS))
    order = np.random.default_rng(0).permutation(len(data_set))
    ranks = np.empty(len(data_set), np.int64)
    by_set = order[np.argsort(data_set[order], kind="stable")]
    starts = np.searchsorted(data_set[by_set], np.arange(names))
    ranks[by_set] = np.arange(len(by_set)) - starts[data_set[by_set]]
    return np.flatnonzero(ranks < each)


def _numbers(values: NDArray[Any], digits: int = 4) -> list[float | None]:
    return [float(f"{x:.{digits + 2}g}") if np.isfinite(x) else None for x in values]
