"""Cells with more genes than a model can take, and a small checkpoint trained on such cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.tokenizer import tokenize

GENES, CLUSTERS, FACTORS = 8_000, 8, 4


def clustered_cells(n_cells: int = 400) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Raw counts of cells with 2,000 to 5,000 expressed genes, and the cluster of each.

    A cluster shifts a tenth of the genes; within it, cells vary along four directions, so that who
    is next to whom means something there as well.
    """
    rng = np.random.default_rng(0)
    base = rng.normal(-1, 1.5, GENES)
    shift = rng.normal(0, 1, (CLUSTERS, GENES)) * (rng.random((CLUSTERS, GENES)) < 0.1)
    direction = rng.normal(0, 0.3, (FACTORS, GENES))
    cluster = np.arange(n_cells) // 2 % CLUSTERS  # every other cell is a fair half
    rates = np.exp(base + shift[cluster] + rng.normal(size=(n_cells, FACTORS)) @ direction)
    wanted = rng.uniform(2_100, 4_800, n_cells)
    counts = [rng.poisson(rate * _depth(rate, n)) for rate, n in zip(rates, wanted, strict=True)]
    return sparse.csr_matrix(np.array(counts), dtype=np.float32), cluster


def _depth(rate: NDArray[np.float64], genes: float) -> float:
    """The factor at which a cell of these rates is expected to express so many genes."""
    low, high = 1e-4, 1e4
    for _ in range(50):
        middle = (low * high) ** 0.5
        if (1 - np.exp(-rate * middle)).sum() < genes:
            low = middle
        else:
            high = middle
    return low


def train_on(cells: sparse.csr_matrix, genes: list[str], folder: Path) -> Path:
    """Train a checkpoint of the demo's form on some cells (about half a minute)."""
    n_cells, n_genes = cells.shape
    tokens = tokenize(
        cells, np.arange(n_genes), cls_id=n_genes, n_bins=demo.N_BINS, pad_value=demo.PAD_VALUE,
        max_length=n_genes + 1, ties="spread",
    )  # fmt: skip
    binned = np.zeros((n_cells, n_genes + 1), np.float32)
    binned[np.repeat(np.arange(n_cells), tokens.lengths()), tokens.genes] = tokens.values
    recipe = demo.Recipe(steps=300, training_cells=n_cells, threads=1)
    with torch.random.fork_rng(devices=[]):
        weights = demo.optimise(torch.from_numpy(binned[:, :-1]), recipe, None)
    demo.write_checkpoint(folder, genes, weights, recipe)
    args = (folder / "args.json").read_text().replace('"max_seq_len": 1200', '"max_seq_len": 8000')
    (folder / "args.json").write_text(args)
    return folder
