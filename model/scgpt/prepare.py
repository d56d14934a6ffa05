"""Cells on their way to tokens: checked, with one column for each known gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..cells.cells import Cells, RowArrays
from ..cells.known_genes import UNKNOWN, CheckedCells
from ..cells.matrix import as_csr
from .config import ModelConfig
from .params import ScgptOptions
from .tokenizer import Ties, Tokens, merge_columns, token_counts, tokenize
from .vocab import GeneVocab


class TokenOptions(TypedDict, total=False):
    """How cells become tokens."""

    ties: Ties
    """Bin of tied values: the middle of their range (``mid``, the default) or spread by a hash."""
    max_length: int | None
    """Tokens per cell, ``<cls>`` included; by default the checkpoint's."""
    seed: int
    """Chooses the genes that stay where a cell has more than ``max_length - 1``; 0 by default."""
    require_known: bool
    """Refuse cells when no column at all is known (the default); else their rows are flagged."""


@dataclass(frozen=True)
class Prepared:
    """Cells that can be tokenised, all or some at a time.

    Parameters
    ----------
    cells
        ``[cells, columns]``.
    gene_ids
        int64 ``[columns]``: the vocabulary's index of each column, -1 where there is none.
    vocab, config
        Of the checkpoint.
    options
        ``ties``, ``max_length`` and ``seed``, which the checkpoint can follow.
    """

    cells: sparse.csr_matrix | sparse.csr_array
    gene_ids: NDArray[np.int64]
    vocab: GeneVocab
    config: ModelConfig
    options: ScgptOptions

    @classmethod
    def of(
        cls,
        sent: Sequence[CheckedCells],
        vocab: GeneVocab,
        config: ModelConfig,
        options: ScgptOptions,
    ) -> Prepared:
        """Put cells below each other, with one column for all that name one gene."""
        merged = [merge_columns(checked.cells.counts, checked.places) for checked in sent]
        return cls(*_stacked(merged, len(vocab)), vocab, config, options)

    @property
    def max_length(self) -> int:
        """Tokens per cell at most, ``<cls>`` included."""
        return self.options.max_length or self.config.max_length

    def lengths(self) -> NDArray[np.int64]:
        """Count the tokens that each cell will have, before they are made: int64 ``[cells]``."""
        return token_counts(self.cells, self.gene_ids, self.max_length)

    def tokens(self, some: NDArray[np.int64] | None = None) -> Tokens:
        """Tokenise some cells, in the order named, or all."""
        return tokenize(
            self.cells if some is None else self.cells[some],
            self.gene_ids,
            cls_id=self.vocab.cls_id,
            n_bins=self.config.n_bins,
            pad_value=self.config.pad_value,
            max_length=self.max_length,
            ties=self.options.ties,
            seed=self.options.seed,
        )


def _stacked(
    parts: Sequence[tuple[Any, NDArray[np.int64]]], n_tokens: int
) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Make one matrix of several with genes of their own: a column per token, one for unknown."""
    if len(parts) == 1:  # spares a copy
        (cells, ids), *_ = parts
        if not isinstance(cells, RowArrays):
            return cells, ids
        arrays = cells.data, cells.indices, cells.indptr
        return sparse.csr_matrix(arrays, shape=cells.shape), ids
    columns = np.append(np.arange(n_tokens), UNKNOWN)
    moved = [
        sparse.csr_matrix(
            (cells.data, ids.astype(np.int32)[cells.indices] % len(columns), cells.indptr),
            shape=(cells.shape[0], len(columns)),
        )
        for cells, ids in parts
    ]
    return sparse.vstack(moved, format="csr"), columns


def checked(cells: Any, genes: Sequence[str], vocab: GeneVocab) -> CheckedCells:
    """Check cells in any of scipy's sparse formats, or an array, and look their genes up."""
    return CheckedCells.of(Cells(as_csr(cells), list(genes)), vocab)
