"""The engine's results: vectors of cells and of genes, and their origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CellEmbeddings:
    """Embeddings of cells, in the order of the cells.

    Parameters
    ----------
    embeddings
        float32 ``[cells, d_model]``, L2-normalised; all zeros where ``matched`` is 0.
    matched, unknown, truncated
        int64 ``[cells]``: non-zero genes found in the vocabulary, not found, and found but left
        out because of ``max_length``.
    digest
        The model's digest. Embeddings of two digests lie in two spaces.
    """

    embeddings: NDArray[np.float32]
    matched: NDArray[np.int64]
    unknown: NDArray[np.int64]
    truncated: NDArray[np.int64]
    digest: str

    def split(self, counts: Sequence[int]) -> list[CellEmbeddings]:
        """Return the first ``counts[0]`` cells, the next ``counts[1]``, and so on."""
        ends = np.cumsum(counts).tolist()
        parts = [slice(start, end) for start, end in pairwise([0, *ends])]
        return [
            CellEmbeddings(
                self.embeddings[some],
                self.matched[some],
                self.unknown[some],
                self.truncated[some],
                self.digest,
            )
            for some in parts
        ]


@dataclass(frozen=True)
class GeneEmbeddings:
    """Static gene vectors: rows of the gene table after the encoder's LayerNorm.

    Parameters
    ----------
    genes
        Symbols, one per row: a page of those that have a vector, or all.
    embeddings
        float32 ``[genes, d_model]``.
    unknown
        Symbols that were asked for and are not in the vocabulary.
    digest
        The model's digest.
    total
        Of all pages: how many of the genes asked for have a vector.
    """

    genes: list[str]
    embeddings: NDArray[np.float32]
    unknown: list[str]
    digest: str
    total: int
