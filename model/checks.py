"""What no cell may hold, whichever way it came in."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import sparse

from model.errors import InvalidRequest
from model.tokenizer import check_values


def check_cells(cells: sparse.csr_matrix | sparse.csr_array, genes: Sequence[str]) -> None:
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


def check_genes(genes: Sequence[str], columns: int) -> None:
    """Refuse symbols that do not name each of the matrix's columns once.

    Raises
    ------
    InvalidRequest
        ``gene_count_mismatch``, ``invalid_gene_name`` or ``duplicate_genes``.
    """
    if len(genes) != columns:
        raise InvalidRequest(
            "gene_count_mismatch",
            f"the matrix has {columns} columns but {len(genes)} genes are named; it must be "
            "cells x genes with one name per column. Is it transposed?",
        )
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
            "each column needs its own. Sum or drop the duplicates first.",
        )
