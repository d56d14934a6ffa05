"""How true to upstream scGPT, and how steady: ``python -m benchmarks.fidelity``.

Prints the tables of docs/fidelity.md and writes ``benchmarks/fidelity.json``. Every number comes
from seeds that are fixed here; about 20 minutes on two cores. Needs ``make reference``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks import likeness
from benchmarks.checkpoints import whole_human
from benchmarks.synthetic import clustered_cells, train_on
from scgpt_databricks.model.evidence.upstream.pipe import ROOT, Upstream
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.tokenizer import TIES

Row = dict[str, Any]

DRAWS, SEEDS = 20, 10
RESULTS = Path(__file__).with_name("fidelity.json")


def main() -> None:
    torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    found: dict[str, list[Row]] = {}
    for name, rows in measure():
        print(f"\n{name}\n\n{markdown(rows)}", flush=True)
        found[name] = rows
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def measure() -> Iterator[tuple[str, list[Row]]]:
    """Each table, as soon as it is there."""
    cells, genes, labels = raw_pbmc()
    trained = demo.SHIPPED
    human = whole_human(ROOT / ".local" / "bench" / "human", genes)
    with Upstream() as upstream:
        yield "parity", parity(upstream, trained, human, cells, genes)
        yield "ties", ties(upstream, trained, cells, genes, labels)
        yield "ties_random_weights", ties_random_weights(upstream, human, cells[::25], genes)
    yield (
        "steadiness",
        [
            *steadiness("demo", _engine(trained), cells[:128], genes),
            *steadiness("whole-human size", _engine(human), cells[:24], genes),
        ],
    )
    yield "subset_pbmc", subsets(_engine(trained), cells, genes, 101, labels)
    with tempfile.TemporaryDirectory() as folder:
        wide, clusters = clustered_cells()
        names = [f"GENE{i}" for i in range(wide.shape[1])]
        engine = _engine(train_on(wide[::2], names, Path(folder) / "checkpoint"))
        yield "subset_wide", subsets(engine, wide[1::2], names, 1200, clusters[1::2])


def raw_pbmc() -> tuple[sparse.csr_matrix, list[str], NDArray[np.str_]]:
    """The 700 PBMC cells as raw counts: their normalisation undone, cell by cell."""
    adata = demo.pbmc_cells()
    cells = sparse.csr_matrix(adata.X, dtype=np.float64)
    scaled = np.expm1(cells.data)
    one = np.minimum.reduceat(scaled, cells.indptr[:-1])  # what a count of 1 became
    counts = scaled / np.repeat(one, np.diff(cells.indptr))
    if np.abs(counts - counts.round()).max() > 0.2:  # the file keeps three decimals
        raise ValueError("the normalisation of the PBMC cells is not the one that is undone here")
    raw = sparse.csr_matrix((counts.round().astype(np.float32), cells.indices, cells.indptr))
    labels = adata.obs["bulk_labels"].to_numpy(str)
    return raw, [str(name) for name in adata.var_names], labels


def parity(
    upstream: Upstream, trained: Path, human: Path, cells: sparse.csr_matrix, genes: list[str]
) -> list[Row]:
    """Same checkpoint, same tokens: the largest difference of any number."""
    rows = []
    for name, checkpoint, some in (
        ("demo", trained, cells),
        ("whole-human size", human, cells[::20]),
    ):
        engine = _engine(checkpoint)
        tokens = engine.tokenize(some, genes)
        upstream.load(checkpoint)
        pad = engine.vocab.tokens.index("<pad>")
        theirs = upstream.encode(tokens, pad, engine.config.pad_value)
        ours = engine.embed_cells(some, genes).embeddings
        apart = (ours @ ours.T)[~np.eye(len(ours), dtype=bool)]
        rows.append(
            {
                "checkpoint": name,
                "cells": len(ours),
                "largest difference": float(np.abs(ours - theirs).max()),
                "mean cosine of two cells": float(apart.mean()),
            }
        )
    return rows


def ties(
    upstream: Upstream,
    checkpoint: Path,
    cells: sparse.csr_matrix,
    genes: list[str],
    labels: NDArray[np.str_],
) -> list[Row]:
    """Upstream's draws against each other, and what we do instead against the same draws."""
    upstream.load(checkpoint)
    draws = [upstream.embed(cells, genes, seed=seed) for seed in range(DRAWS)]
    alone = [_of_a_draw(i, draws, labels) for i in range(DRAWS)]
    rows = [
        {"": "upstream, another draw", **likeness.mean(alone)},
        {"": "deviation over draws", **likeness.deviation(alone)},
    ]
    engine = _engine(checkpoint)
    for choice in TIES:
        ours = engine.embed_cells(cells, genes, ties=choice).embeddings
        tokens = engine.tokenize(cells, genes, ties=choice)
        bins = [np.unique(x[1:]).size for x in np.split(tokens.values, tokens.indptr[1:-1])]
        rows.append(
            {
                "": choice,
                **likeness.mean([likeness.likeness(ours, draw) for draw in draws]),
                **likeness.mean(
                    [
                        likeness.likeness_to_mean(ours, draws[:i] + draws[i + 1 :])
                        for i in range(DRAWS)
                    ]
                ),
                **likeness.accuracy(ours, labels),
                "distinct bins per cell": float(np.mean(bins)),
            }
        )
    return rows


def _of_a_draw(
    i: int, draws: list[NDArray[np.float32]], labels: NDArray[np.str_]
) -> dict[str, float]:
    """One draw of upstream against all its others."""
    others = draws[:i] + draws[i + 1 :]
    return {
        **likeness.mean([likeness.likeness(draws[i], other) for other in others]),
        **likeness.likeness_to_mean(draws[i], others),
        **likeness.accuracy(draws[i], labels),
    }


def ties_random_weights(
    upstream: Upstream, checkpoint: Path, cells: sparse.csr_matrix, genes: list[str]
) -> list[Row]:
    """The same where nothing was learned: the worst case for a draw."""
    upstream.load(checkpoint)
    draws = [upstream.embed(cells, genes, seed=seed) for seed in range(5)]
    engine = _engine(checkpoint)
    compared = {"upstream, another draw": list(combinations(draws, 2))}
    for choice in TIES:
        ours = engine.embed_cells(cells, genes, ties=choice).embeddings
        compared[choice] = [(ours, draw) for draw in draws]
    return [
        {"": name, **likeness.mean([likeness.cosines(a, b) for a, b in pairs])}
        for name, pairs in compared.items()
    ]


def subsets(
    engine: Embedder,
    cells: sparse.csr_matrix,
    genes: list[str],
    max_length: int,
    labels: NDArray[Any],
) -> list[Row]:
    """One subset of genes for all cells of a request against one per cell, over ten seeds."""
    whole = engine.embed_cells(cells, genes)
    found: dict[str, list[likeness.Array]] = {
        "one for all cells (ours)": [
            engine.embed_cells(cells, genes, max_length=max_length, seed=seed).embeddings
            for seed in range(SEEDS)
        ],
        "one per cell (as upstream)": [
            _one_subset_per_cell(engine, cells, genes, max_length, seed) for seed in range(SEEDS)
        ],
    }
    size = {
        "genes per cell": f"{whole.matched.min()}-{whole.matched.max()}",
        "kept": max_length - 1,
    }
    rows = []
    for name, runs in found.items():
        to_whole = [likeness.likeness(run, whole.embeddings) for run in runs]
        pairs = [likeness.likeness(a, b) for a, b in combinations(runs, 2)]
        rows.append(
            {
                "subset": name,
                **size,
                "overlap with all genes": likeness.spread(to_whole, "neighbour overlap"),
                "cosine to all genes": likeness.mean(to_whole)["mean cosine"],
                "overlap of two seeds": likeness.mean(pairs)["neighbour overlap"],
                **likeness.mean([likeness.accuracy(run, labels) for run in runs]),
            }
        )
    return [
        *rows,
        {"subset": "none: all genes", **size, **likeness.accuracy(whole.embeddings, labels)},
    ]


def _one_subset_per_cell(
    engine: Embedder, cells: sparse.csr_matrix, genes: list[str], max_length: int, seed: int
) -> likeness.Array:
    first = 1_000 + seed * cells.shape[0]
    alone = [
        engine.embed_cells(cells[[i]], genes, max_length=max_length, seed=first + i).embeddings
        for i in range(cells.shape[0])
    ]
    return np.concatenate(alone)


def steadiness(
    name: str, engine: Embedder, cells: sparse.csr_matrix, genes: list[str]
) -> list[Row]:
    """The largest change of any number of a cell's row, by what changed around the cell."""
    rng = np.random.default_rng(0)
    n = cells.shape[0]
    order, columns = rng.permutation(n), rng.permutation(len(genes))
    base = engine.embed_cells(cells, genes).embeddings
    shuffled = engine.embed_cells(cells[order], genes).embeddings
    moved = engine.embed_cells(cells[:, columns], [genes[i] for i in columns]).embeddings
    halves = [
        engine.embed_cells(part, genes).embeddings for part in (cells[: n // 2], cells[n // 2 :])
    ]
    alone = [engine.embed_cells(cells[[i]], genes).embeddings for i in range(n)]
    logged = cells.copy()
    logged.data = np.log1p(logged.data * 0.37)
    # At 64 tokens each, all cells fill batches of one shape: only place and company change.
    same_shape = engine.embed_cells(cells, genes, max_length=64).embeddings
    regrouped = engine.embed_cells(cells[order], genes, max_length=64).embeddings
    changes = {
        "cells shuffled": shuffled - base[order],
        "genes shuffled": moved - base,
        "request split in two": np.concatenate(halves) - base,
        "each cell alone (never padded)": np.concatenate(alone) - base,
        "log1p of normalised counts": engine.embed_cells(logged, genes).embeddings - base,
        "other cells, other place, same shape": regrouped - same_shape[order],
    }
    for budget in (600, 65_536):
        engine.budget.tokens, before = budget, engine.budget.tokens
        changes[f"batches of {budget:,} tokens"] = (
            engine.embed_cells(cells, genes).embeddings - base
        )
        engine.budget.tokens = before
    return [
        {"checkpoint": name, "what changed": what, "largest change": float(np.abs(change).max())}
        for what, change in changes.items()
    ]


def _engine(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint, device="cpu", precision="float32")


def markdown(rows: list[Row]) -> str:
    """Write rows as a table; columns that a row lacks stay empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        return f"{value:.1e}" if abs(value) < 1e-3 and value else f"{value:.4f}"

    lines = [columns, ["---"] * len(columns)]
    lines += [[cell(row.get(name, "")) for name in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
