"""A digest of what a cell's tokens are made of: its genes, by name, and their values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


class CellKeys:
    """Computes the keys of cells of one data set.

    Parameters
    ----------
    genes
        Name of each column.
    """

    def __init__(self, genes: Sequence[str]) -> None:
        digests = [
            hashlib.blake2b(gene.encode("utf-8", "replace"), digest_size=8) for gene in genes
        ]
        names = b"".join(each.digest() for each in digests)
        self._genes: NDArray[np.uint64] = np.frombuffer(names, ">u8")

    def of(self, counts: sparse.csr_matrix) -> Iterator[bytes]:
        """Yield 16 bytes for each cell of ``[cells, genes]``, whatever the order of the columns."""
        values = counts.data.astype(np.float32)
        for start, stop in zip(counts.indptr[:-1], counts.indptr[1:], strict=True):
            own, genes = values[start:stop], self._genes[counts.indices[start:stop]]
            genes, own = genes[own != 0], own[own != 0]
            order = np.argsort(genes)
            key = hashlib.blake2b(genes[order].tobytes(), digest_size=16)
            key.update(own[order].astype("<f4").tobytes())
            yield key.digest()
