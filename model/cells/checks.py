"""Checks of values that no cell may hold, whichever way it came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..contract import MAX_CELLS, MAX_GENES
from ..errors import InvalidRequest, LimitExceeded


class _Matrix(Protocol):
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def data(self) -> NDArray[np.generic]: ...


def check_cells(cells: _Matrix, genes: Sequence[str]) -> None:
    """Refuse cells that cannot be tokenised: none at all, misnamed columns, impossible values.

    Raises
    ------
    InvalidRequest
        ``no_cells``, or as ``check_genes`` and ``check_values``.
    """
    if cells.shape[0] == 0:
        raise InvalidRequest("no_cells", "the request holds no cell; send at least one.")
    check_genes(genes, cells.shape[1])
    check_values(cells.data)


def check_size(n_cells: int, n_genes: int, where: str) -> None:
    """Refuse more cells or genes than one row of a request may have.

    Raises
    ------
    LimitExceeded
        ``too_many_cells`` or ``too_many_genes``.
    """
    for what, count, most in (("cells", n_cells, MAX_CELLS), ("genes", n_genes, MAX_GENES)):
        if count > most:
            raise LimitExceeded(
                f"too_many_{what}", f"{count:,} {what} in {where}; {most:,} are allowed."
            )


def check_gene_count(genes: Sequence[str], columns: int) -> None:
    """Refuse another number of names than of columns (``gene_count_mismatch``)."""
    if len(genes) != columns:
        raise InvalidRequest(
            "gene_count_mismatch",
            f"the matrix has {columns} columns but {len(genes)} genes are named; it must be "
            "cells x genes with one name per column. Is it transposed?",
        )


def check_genes(genes: Sequence[str], columns: int) -> None:
    """Refuse symbols that do not name each of the matrix's columns once.

    Raises
    ------
    InvalidRequest
        ``gene_count_mismatch``, ``invalid_gene_name`` or ``duplicate_genes``.
    """
    check_gene_count(genes, columns)
    if set(map(type, genes)) != {str} or not all(genes):
        odd = [gene for gene in genes if not isinstance(gene, str) or not gene]
        if odd:
            raise InvalidRequest(
                "invalid_gene_name",
                f"gene names must be non-empty strings; one of them is {odd[0]!r}.",
            )
    if len(set(genes)) != len(genes):
        seen: set[str] = set()
        twice = next(gene for gene in genes if gene in seen or seen.add(gene))  # type: ignore[func-returns-value]
        raise InvalidRequest(
            "duplicate_genes",
            f"{len(genes) - len(set(genes))} gene names occur more than once, {twice!r} for one; "
            "each column needs its own. Drop them first, or sum them: sum_duplicates of the client "
            "(--sum-duplicates of the commands) does.",
        )


def check_values(values: NDArray[np.generic]) -> None:
    """Refuse expression values that cannot be binned (any shape, any real dtype).

    Raises
    ------
    InvalidRequest
        ``not_finite`` or ``negative_values``.
    """
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)  # what the model reads; -1e-50 is 0 there
    if not np.isfinite(values).all():
        raise InvalidRequest(
            "not_finite",
            "the expression values hold NaN or infinity; they must be finite float32 numbers. "
            "Replace or drop them, or send the raw counts.",
        )
    if values.size and values.min() < 0:
        raise InvalidRequest(
            "negative_values",
            f"the expression values go down to {float(values.min()):g}; they must be 0 or more. "
            "Scaled (z-scored) data cannot be used: send raw, normalised or log1p counts "
            "(often in adata.raw or adata.layers).",
        )
