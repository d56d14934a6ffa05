"""The columns of a matrix, by the genes that they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from .matrix import as_csr


@dataclass(frozen=True)
class GeneColumns:
    """Names of genes, and how the columns of a matrix add up to them.

    Parameters
    ----------
    names
        One per column; each once where the columns are summed.
    sums
        ``[columns, names]`` of ones; None: a column is a gene.
    """

    names: list[str]
    sums: sparse.csr_matrix | None = None

    @classmethod
    def of(cls, names: Sequence[str], *, sum_duplicates: bool = False) -> Self:
        """Take names as they are, or sum the columns of one name, in the order of its first."""
        place = {name: at for at, name in enumerate(dict.fromkeys(names))}
        if not sum_duplicates or len(place) == len(names):
            return cls(list(names))
        columns = np.arange(len(names)), [place[name] for name in names]
        ones = np.ones(len(names), np.float32)
        return cls([*place], sparse.csr_matrix((ones, columns), shape=(len(names), len(place))))

    def count(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return some cells by gene: ``[cells, names]``."""
        return rows if self.sums is None else as_csr(rows @ self.sums)
