"""Bins of other numbers than 51, against upstream: ``python -m benchmarks.bins``.

Counts the values whose bin is another than upstream's, its draw replaced by the middle. Prints the
table of ``docs/fidelity.md`` and writes ``benchmarks/bins.json``; a minute. Needs ``make
reference``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.fidelity import markdown, raw_pbmc
from scgpt_databricks.model.evidence.upstream.pipe import Upstream
from scgpt_databricks.model.scgpt.tokenizer import tokenize

Row = dict[str, Any]

RESULTS = Path(__file__).with_name("bins.json")
NUMBERS = 11, 51, 101, 201


def main() -> None:
    with Upstream() as upstream:
        rows = list(differences(upstream))
    print(markdown(rows))
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def differences(upstream: Upstream) -> Iterator[Row]:
    """Values whose bin differs from upstream's, by cells and number of bins."""
    raw, _, _ = raw_pbmc()
    for name, cells in (("PBMC, raw counts", raw), ("whole counts without ties", untied())):
        for form, sent in (("as they are", cells), ("normalised, log1p", logged(cells))):
            row: Row = {"cells": name, "values": form, "of": len(sent.data)}
            for n_bins in NUMBERS:
                theirs = upstream.bins(sent, np.full(len(sent.data), 0.5), n_bins)
                apart = np.abs(our_bins(sent, n_bins) - theirs)
                if apart.max() > 1:
                    raise ValueError(f"{name}: a bin differs by {apart.max()}")
                row[str(n_bins)] = int(apart.sum())
            yield row


def untied() -> sparse.csr_matrix:
    """Cells with 1 to 399 genes that hold the counts 1, 2, 3, ..., each once."""
    return sparse.csr_matrix(np.tril(np.tile(np.arange(1, 400), (399, 1))), dtype=np.float32)


def logged(cells: sparse.csr_matrix) -> sparse.csr_matrix:
    """Normalise to 10,000 per cell, then log1p."""
    totals = np.repeat(np.asarray(cells.sum(axis=1)).ravel(), np.diff(cells.indptr))
    values = np.log1p(cells.data / totals * 1e4).astype(np.float32)
    return sparse.csr_matrix((values, cells.indices, cells.indptr), shape=cells.shape)


def our_bins(cells: sparse.csr_matrix, n_bins: int) -> NDArray[np.int64]:
    """Our bin of each stored value, ties in the middle."""
    genes = cells.shape[1]
    tokens = tokenize(
        cells, np.arange(genes), cls_id=genes, n_bins=n_bins, pad_value=-2, max_length=genes + 1
    )
    return np.delete(tokens.values, tokens.indptr[:-1])


if __name__ == "__main__":
    main()
