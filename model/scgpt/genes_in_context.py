"""Genes in the context of cells: the transformer's output for each gene, by cell or by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from ..cells.cells import Cells
from ..cells.checks import check_genes
from ..cells.known_genes import UNKNOWN
from ..errors import EngineError, InvalidRequest, LimitExceeded
from ..wire.genes_in_context import GenesInContext
from .embedder import Embedder
from .prepare import Prepared, TokenOptions
from .tokenizer import Tokens


def embed_genes_in_context(
    embedder: Embedder,
    cells: Cells,
    *,
    group_by: str = "",
    genes: Sequence[str] = (),
    max_vectors: int | None = None,
    **options: Unpack[TokenOptions],
) -> GenesInContext:
    """Embed the genes of cells, each in the cells in which it was a token.

    Parameters
    ----------
    cells
        As for ``Embedder.embed_cells``.
    group_by
        A column of ``cells.obs``: one row per label, float64 sums. Empty: one row per cell,
        float32.
    genes
        Only these (by any name that the vocabulary knows); empty: all.
    max_vectors
        Refuse to make more than this many vectors.
    options
        As for ``Embedder.embed_cells``.

    Raises
    ------
    InvalidRequest
        As ``Embedder.embed_cells``; ``no_such_column``, ``missing_group``, ``no_known_gene``; of
        `genes`, ``duplicate_genes`` and ``invalid_gene_name``.
    LimitExceeded
        ``too_many_vectors``.
    """
    prepared = embedder.prepare(cells.counts, cells.genes, **options)
    return embed_prepared_in_context(embedder, prepared, [cells], group_by, genes, max_vectors)[0]


def embed_prepared_in_context(
    embedder: Embedder,
    prepared: Prepared,
    sent: Sequence[Cells],
    group_by: str,
    genes: Sequence[str],
    max_vectors: int | None,
) -> list[GenesInContext]:
    """Embed the genes of several data sets, which ``Prepared.of`` put below each other.

    Each data set is answered for itself: groups of one name in two of them stay two groups.
    """
    wanted, not_found = _wanted(embedder, genes)
    named = [_rows(cells, group_by) for cells in sent]
    names = [name for part, _ in named for name in part]
    starts = np.cumsum([0, *(len(part) for part, _ in named)])  # of each data set's rows
    member = np.concatenate([start + m for start, (_, m) in zip(starts[:-1], named, strict=True)])
    tokens = prepared.tokens()
    vectors = _vectors(tokens, member, wanted, len(embedder.vocab))
    indptr = np.searchsorted(vectors.rows, np.arange(len(names) + 1))
    if max_vectors is not None:
        _refuse_more(int(np.diff(indptr[starts]).max()), max_vectors)
    counts = np.bincount(vectors.of_token[vectors.of_token >= 0], minlength=len(vectors.rows))
    sums = _sums(embedder, tokens, vectors, np.float64 if group_by else np.float32)
    per_row = {
        "cells": np.bincount(member, minlength=len(names)),
        "matched": _per_row(tokens.matched, member, len(names)),
        "unknown": _per_row(tokens.unknown, member, len(names)),
        "truncated": _per_row(tokens.truncated, member, len(names)),
    }
    found = []
    for start, stop in pairwise(starts):
        some = slice(indptr[start], indptr[stop])
        kinds, place = np.unique(vectors.genes[some], return_inverse=True)
        part = GenesInContext(
            names=names[start:stop],
            symbols=[embedder.vocab.tokens[i] for i in kinds],
            indptr=indptr[start : stop + 1] - indptr[start],
            genes=place.astype(np.int64),
            counts=counts[some],
            sums=sums[some],
            not_found=not_found,
            digest=embedder.digest,
            grouped=bool(group_by),
            **{name: numbers[start:stop] for name, numbers in per_row.items()},
        )
        found.append(part)
    return found


@dataclass(frozen=True)
class _Vectors:
    """The vectors that there will be: one for each gene of each row, by row, then by gene.

    Parameters
    ----------
    rows, genes
        int64 ``[vectors]``: row of the answer, and row of the gene table.
    of_token
        int64 ``[tokens]``: the vector that each token is added to, -1 for none.
    """

    rows: NDArray[np.int64]
    genes: NDArray[np.int64]
    of_token: NDArray[np.int64]


def _vectors(
    tokens: Tokens, member: NDArray[np.int64], wanted: NDArray[np.int64] | None, n_genes: int
) -> _Vectors:
    taken = np.ones(len(tokens.genes), bool)
    taken[tokens.indptr[:-1]] = False  # <cls>
    if wanted is not None:
        taken &= np.isin(tokens.genes, wanted)
    row = np.repeat(member, tokens.lengths())
    pairs, vector = np.unique((row * n_genes + tokens.genes)[taken], return_inverse=True)
    of_token = np.full(len(tokens.genes), -1, np.int64)
    of_token[taken] = vector
    return _Vectors(pairs // n_genes, pairs % n_genes, of_token)


def _refuse_more(count: int, most: int) -> None:
    if count > most:
        raise LimitExceeded(
            "too_many_vectors",
            f"{count:,} gene vectors do not fit this answer ({most:,} do). Send fewer cells, "
            "name the genes, group the cells with group_by, or ask for a packed answer.",
        )


def _rows(cells: Cells, group_by: str) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the answer's rows, and the row that each cell goes to."""
    n_cells = cells.counts.shape[0]
    if not group_by:
        return cells.ids or [str(i) for i in range(n_cells)], np.arange(n_cells)
    labels = cells.obs.get(group_by)
    if labels is None:
        raise InvalidRequest(
            "no_such_column",
            f"group_by is {group_by!r}, but the cells came without such a column of obs.",
        )
    present = [label for label in labels if label is not None]
    if len(present) != n_cells:
        raise InvalidRequest(
            "missing_group",
            f"{n_cells - len(present)} of {n_cells} cells have no label in {group_by!r}. "
            "Label or leave out those cells.",
        )
    names, member = np.unique(np.array(present, dtype=object), return_inverse=True)
    return list(names), member.astype(np.int64)


def _wanted(embedder: Embedder, genes: Sequence[str]) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Rows of the gene table that are asked for (None: all), and the names without any."""
    genes = list(genes)
    if not genes:
        return None, []
    check_genes(genes, len(genes))
    ids = embedder.vocab.lookup(genes)
    not_found = [gene for gene, i in zip(genes, ids, strict=True) if i == UNKNOWN]
    if len(not_found) == len(genes):
        raise InvalidRequest(
            "no_known_gene",
            f"none of the {len(genes)} genes asked for is in the vocabulary "
            f"(first: {', '.join(genes[:3])}).",
        )
    return ids[ids != UNKNOWN], not_found


def _sums(
    embedder: Embedder, tokens: Tokens, vectors: _Vectors, dtype: type
) -> NDArray[np.floating]:
    """Output of the tokens, added up by vector: ``[vectors, d_model]``."""
    sums: NDArray[np.floating] = np.zeros((len(vectors.rows), embedder.config.d_model), dtype)
    total = torch.from_numpy(sums)
    for position, output in embedder.run_tokens(tokens):
        vector = torch.from_numpy(vectors.of_token[position])  # [n]
        used = vector >= 0
        total.index_add_(0, vector[used], output[used].to(total.dtype))
    if not np.isfinite(sums).all():
        raise EngineError(
            "not_finite_embedding",
            "the network gave NaN or infinity; its weights hold some, or the precision is too low "
            "for them.",
        )
    return sums


def _per_row(
    per_cell: NDArray[np.int64], member: NDArray[np.int64], n_rows: int
) -> NDArray[np.int64]:
    total = np.zeros(n_rows, np.int64)
    np.add.at(total, member, per_cell)
    return total
