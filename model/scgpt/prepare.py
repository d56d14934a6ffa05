"""Cells on their way to tokens: options and values checked, one column for each known gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..cells.checks import check_cells
from ..cells.matrix import as_csr
from ..errors import InvalidRequest
from .config import ModelConfig
from .known_genes import known_ids
from .tokenizer import TIES, Ties, Tokens, merge_columns, token_counts, tokenize
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
    """Cells that were checked and can be tokenised, all or some at a time.

    Parameters
    ----------
    cells
        ``[cells, genes]``.
    gene_ids
        int64 ``[genes]``: the vocabulary's index of each column, -1 where there is none.
    vocab, config
        Of the checkpoint.
    max_length, ties, seed
        As in ``TokenOptions``, decided.
    """

    cells: sparse.csr_matrix | sparse.csr_array
    gene_ids: NDArray[np.int64]
    vocab: GeneVocab
    config: ModelConfig
    max_length: int
    ties: Ties
    seed: int

    def lengths(self) -> NDArray[np.int64]:
        """Tokens that each cell will have, known before they are made: int64 ``[cells]``."""
        return token_counts(self.cells, self.gene_ids, self.max_length)

    def tokens(self, some: NDArray[np.int64] | None = None) -> Tokens:
        """Tokens of some cells, in the order named, or of all."""
        return tokenize(
            self.cells if some is None else self.cells[some],
            self.gene_ids,
            cls_id=self.vocab.cls_id,
            n_bins=self.config.n_bins,
            pad_value=self.config.pad_value,
            max_length=self.max_length,
            ties=self.ties,
            seed=self.seed,
        )


def prepare(
    cells: Any,
    genes: Sequence[str],
    vocab: GeneVocab,
    config: ModelConfig,
    options: TokenOptions,
) -> Prepared:
    """Check everything about a request that can be wrong; errors as ``Embedder.embed_cells``.

    Cells may come in any of scipy's sparse formats or as an array (``matrix.as_csr``).
    """
    ties, length = options.get("ties", "mid"), options.get("max_length")
    length = config.max_length if length is None else length
    if ties not in TIES:
        raise InvalidRequest("invalid_param", f"ties is {ties!r}; it must be mid or spread.")
    if not 2 <= length <= config.max_length:
        raise InvalidRequest(
            "invalid_param",
            f"max_length is {length}; it must be 2 .. {config.max_length}, the length "
            "that the checkpoint was trained with.",
        )
    counts = as_csr(cells)
    check_cells(counts, genes)
    require_known = options.get("require_known", True)
    ids = known_ids(vocab, genes) if require_known else vocab.lookup(genes)
    merged, ids = merge_columns(counts, ids)
    return Prepared(merged, ids, vocab, config, length, ties, options.get("seed", 0))
