"""The columns of a matrix, by the genes that they count."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from .matrix import as_csr

INDEX = "index"
SUMMED, FIRST_KEEPS = "summed", "first keeps the name, others their id"


@dataclass(frozen=True)
class GeneColumns:
    """Names of genes, and how the columns of a matrix add up to them.

    Parameters
    ----------
    names
        One per column; each once where the columns are summed.
    sums
        ``[columns, names]`` of ones; None: a column is a gene.
    column
        Of ``var``, from which the names are; ``index`` for its index.
    duplicates
        Columns whose name another one before them has.
    rule
        Said of duplicates: ``summed``, or ``first keeps the name, others their id``; empty: there
        are none, or they are refused.
    """

    names: list[str]
    sums: sparse.csr_matrix | None = None
    column: str = INDEX
    duplicates: int = 0
    rule: str = ""

    @classmethod
    def first_keeps(cls, names: Sequence[str], ids: Sequence[str], column: str) -> Self:
        """Take names of a column; one that occurs again gives way to the gene's id."""
        seen: set[str] = set()
        kept = [
            own if name in seen or seen.add(name) else name  # type: ignore[func-returns-value]
            for name, own in zip(names, ids, strict=True)
        ]
        again = len(names) - len({*names})
        return cls(kept, None, column, again, FIRST_KEEPS if again else "")

    @classmethod
    def of(cls, names: Sequence[str], *, sum_duplicates: bool = False, column: str = INDEX) -> Self:
        """Take names as they are, or sum the columns of one name, in the order of its first."""
        place = {name: at for at, name in enumerate(dict.fromkeys(names))}
        if not sum_duplicates or len(place) == len(names):
            return cls(list(names), column=column)
        columns = np.arange(len(names)), [place[name] for name in names]
        ones = np.ones(len(names), np.float32)
        sums = sparse.csr_matrix((ones, columns), shape=(len(names), len(place)))
        return cls([*place], sums, column, len(names) - len(place), SUMMED)

    def warn(self) -> None:
        """Warn of names that gave way to ids; nobody asked for that."""
        if self.rule == FIRST_KEEPS:
            warnings.warn(
                f"{self.duplicates:,} genes have a name in {self.column} that another one has: "
                "the first keeps it, the others go by their id. sum_duplicates adds them up.",
                stacklevel=3,
            )

    def count(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return some cells by gene: ``[cells, names]``."""
        return rows if self.sums is None else as_csr(rows @ self.sums)
