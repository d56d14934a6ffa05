"""Some cells with their genes: what every way into the model makes of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:  # at the edge there is no scipy
    from scipy import sparse


@dataclass(frozen=True)
class RowArrays:
    """Cells by rows: what is read of scipy's CSR, which may stand in its place.

    Parameters
    ----------
    shape
        Cells and columns.
    data, indices, indptr
        As of scipy's ``csr_matrix``.
    """

    shape: tuple[int, int]
    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]


Rows: TypeAlias = "sparse.csr_matrix | sparse.csr_array | RowArrays"


@dataclass(frozen=True)
class Cells:
    """Some cells as callers send them.

    Parameters
    ----------
    counts
        ``[cells, genes]``, CSR.
    genes
        Symbol of each column.
    ids
        Name of each cell; None: their positions.
    obs
        Columns of labels, one label per cell (None: missing). Only some are ever read: ``batch``
        to find highly variable genes, and the one that ``group_by`` names.
    """

    counts: sparse.csr_matrix
    genes: list[str]
    ids: list[str] | None = None
    obs: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


BATCH = "batch"  # the obs column that holds batch labels


class CellRows(Protocol):
    """A whole data set, of which some cells are read at a time."""

    n_cells: int
    genes: list[str]

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Read some cells: ``[at most stop - start, genes]``."""

    def names(self, start: int, stop: int) -> list[str]:
        """Read the names of some cells."""
