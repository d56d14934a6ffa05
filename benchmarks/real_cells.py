"""Data sets of real cells: drawn anew from the 700 PBMC cells that scanpy ships, embedded once.

A data set has a mixture of the ten labelled kinds of its own. All else that donors differ in is
not in these cells: they come from one.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.traffic import MYELOID, counted
from scgpt_databricks.model.evidence.reference import (
    KEY,
    Frozen,
    common_genes,
    freeze,
    known_share,
    lost_share,
    thaw,
)
from scgpt_databricks.model.judge.drift import Sample
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells, random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder

CELLS = 40
_ALIKE = 60.0  # the larger, the more alike are the mixtures of two data sets
USUAL, LOST, NORMALISED, DEEPER, NOISY, OTHER = (
    *("usual", "lost", "normalised", "twice as deep", "other weights", "another checkpoint"),
)
_NOISE = 0.3  # added to weights, in their standard deviations


@dataclass(frozen=True)
class Space:
    """All 700 cells as one kind of request sends them, and what the model says."""

    embeddings: NDArray[np.float32]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    sizes: NDArray[np.float64]
    expressed: NDArray[np.float64]
    """``[cells, genes]`` 1 where a cell expresses a gene; those that are not sent are 0."""
    whole: float


@cache
def spaces() -> dict[str, Space]:
    """Embed the cells once for each kind of request."""
    cells = counted(pbmc_cells())
    counts, genes = cells.X.tocsr(), [str(name) for name in cells.var_names]
    kept = np.arange(len(genes)) < 0.6 * len(genes)
    sizes = np.asarray(counts.sum(axis=1)).ravel()
    normalised = counts.multiply(1e4 / sizes[:, None]).tocsr().log1p()
    engine = Embedder.load(SHIPPED, device="cpu", precision="float32")
    with tempfile.TemporaryDirectory(prefix="bench-drift-") as folder:
        other = Embedder.load(random_checkpoint(Path(folder) / "random"), device="cpu")
        noisy = Embedder.load(_noisy(Path(folder) / "noisy"), device="cpu", precision="float32")

        def space(matrix: Any, engine: Embedder, sent: Any = slice(None)) -> Space:
            names = list(np.array(genes)[sent])
            found = engine.embed_cells(matrix[:, sent], names)
            expressed = np.zeros(matrix.shape)
            expressed[:, sent] = matrix[:, sent].astype(bool).toarray()
            whole = float((matrix.data % 1 == 0).all())
            sums = np.asarray(matrix[:, sent].sum(axis=1), np.float64).ravel()
            numbers = found.matched, found.unknown
            return Space(found.embeddings, *numbers, np.log1p(sums), expressed, whole)

        return {
            USUAL: space(counts, engine),
            LOST: space(counts, engine, kept),
            NORMALISED: space(normalised, engine),
            DEEPER: space(counts * 2, engine),
            NOISY: space(counts, noisy),
            OTHER: space(counts, other),
        }


def _noisy(folder: Path) -> Path:
    """Copy the demo checkpoint, with noise added to its weights."""
    shutil.copytree(SHIPPED, folder)
    path, chance = folder / "best_model.pt", torch.Generator().manual_seed(1)
    weights = torch.load(path, weights_only=True)
    for name, values in weights.items():
        if values.is_floating_point() and values.ndim > 1:
            noise = torch.randn(values.shape, generator=chance)
            weights[name] = values + _NOISE * values.std() * noise
    torch.save(weights, path)
    return folder


class RealCells:
    """Draws data sets; the common genes are those of its reference."""

    def __init__(self) -> None:
        labels = pbmc_cells().obs["bulk_labels"].astype(str).to_numpy()
        self._kinds, self._kind = np.unique(labels, return_inverse=True)
        self._usual = np.bincount(self._kind) / len(self._kind)
        self._myeloid = np.isin(self._kinds, MYELOID)

    def reference(self, rng: np.random.Generator, many: int) -> Frozen:
        """Freeze data sets as ``scgpt monitor freeze`` does."""
        rows = self._rows(rng, many, 0.0)
        space = spaces()[USUAL]
        rates = space.expressed[rows].mean(axis=1)
        chosen = common_genes(rates, [str(at) for at in range(rates.shape[1])])
        usual = rates[:, chosen].mean(axis=0)
        sample = _sample(space, rows, lost_share(rates[:, chosen], usual))
        numbers = space.matched[rows.ravel()], space.unknown[rows.ravel()]
        names = [str(at) for at in chosen]
        made = freeze(sample, *numbers, digest="d" * 64, genes=names, rates=usual)
        return thaw({KEY: made})

    def draw(
        self,
        rng: np.random.Generator,
        many: int,
        frozen: Frozen,
        *,
        kind: str = USUAL,
        myeloid: float = 0.0,
    ) -> Sample:
        """Draw data sets of a window."""
        space, rows = spaces()[kind], self._rows(rng, many, myeloid)
        rates = space.expressed[rows].mean(axis=1)[:, [int(name) for name in frozen.genes]]
        return _sample(space, rows, lost_share(rates, frozen.rates))

    def _rows(self, rng: np.random.Generator, many: int, myeloid: float) -> NDArray[np.int64]:
        """Return the cells of each data set: int64 ``[data sets, cells]``."""
        wanted = self._usual * (1 - myeloid)
        wanted[self._myeloid] += (
            myeloid * self._usual[self._myeloid] / self._usual[self._myeloid].sum()
        )
        odds = rng.dirichlet(wanted * _ALIKE, size=many) / np.bincount(self._kind)
        each = odds[:, self._kind]
        each /= each.sum(axis=1, keepdims=True)
        cells = len(self._kind)
        return np.stack([rng.choice(cells, CELLS, replace=False, p=one) for one in each])


def _sample(space: Space, rows: NDArray[np.int64], lost: NDArray[np.float64]) -> Sample:
    many, flat = len(rows), rows.ravel()
    return Sample(
        tuple(f"data-set-{number}" for number in range(many)),
        np.repeat(np.arange(many), rows.shape[1]),
        space.sizes[flat],
        known_share(space.matched[flat], space.unknown[flat]),
        space.embeddings[flat],
        np.full(many, space.whole),
        lost,
    )
