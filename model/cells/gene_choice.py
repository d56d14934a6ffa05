"""The genes of a data set, chosen once for all its cells; the same list serves for other cells."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..contract import HVG_FLAVORS
from ..errors import InvalidRequest
from .cells import CellRows
from .job_options import CELLS_PER_READ
from .matrix import as_csr
from .variable_genes import variable_genes

_NORMALISED_TO = 1e4


def genes_digest(genes: Sequence[str]) -> str:
    """Return the SHA-256 of a list of genes, in its order, one a line: hexadecimal."""
    return hashlib.sha256("\n".join(genes).encode()).hexdigest()


class ChosenCells:
    """A data set with some of its genes.

    Parameters
    ----------
    cells
        The data set.
    columns
        int ``[genes]``: those that are kept, in the order of the data set.
    missing
        Genes that were asked for and are not there.
    """

    def __init__(
        self, cells: CellRows, columns: NDArray[np.intp], missing: tuple[str, ...] = ()
    ) -> None:
        self.cells, self.columns, self.missing = cells, columns, missing
        self.genes = [cells.genes[column] for column in columns]
        self.n_cells = cells.n_cells

    def rows(self, start: int, stop: int) -> sparse.csr_matrix:
        """Read some cells: ``[at most stop - start, genes]``."""
        return as_csr(self.cells.rows(start, stop)[:, self.columns])

    def names(self, start: int, stop: int) -> list[str]:
        """Read the names of some cells."""
        return self.cells.names(start, stop)


@dataclass(frozen=True)
class GeneChoice:
    """The genes of a data set that are embedded: by default all.

    Parameters
    ----------
    genes
        These. What is not there is left out, with a warning.
    n_top_genes
        So many that vary the most over the whole data set; 0: all.
    hvg_flavor
        How these are found; None: ``seurat_v3`` for counts, ``cell_ranger`` for other values.
    batch_key
        Column of ``obs`` with the batches within which they are to vary. It is not sent.

    Raises
    ------
    InvalidRequest
        ``invalid_param``, ``invalid_gene_name``.
    """

    genes: Sequence[str] | None = None
    n_top_genes: int = 0
    hvg_flavor: str | None = None
    batch_key: str | None = None

    def __post_init__(self) -> None:
        try:
            number = -1 if isinstance(self.n_top_genes, bool) else index(self.n_top_genes)
        except TypeError:
            number = -1
        if number < 0:
            raise _invalid("n_top_genes", self.n_top_genes, "a whole number, 0 for all genes")
        if self.hvg_flavor not in (None, *HVG_FLAVORS):
            raise _invalid("hvg_flavor", self.hvg_flavor, f"one of {', '.join(HVG_FLAVORS)}")
        if (self.hvg_flavor or self.batch_key is not None) and not number:
            named = "hvg_flavor" if self.hvg_flavor else "batch_key"
            raise InvalidRequest(
                "invalid_param", f"{named} is given without n_top_genes, to which it belongs."
            )
        if self.genes is None:
            return
        if number:
            raise InvalidRequest(
                "invalid_param", "both genes and n_top_genes are given; give one of them."
            )
        if isinstance(self.genes, str) or not hasattr(self.genes, "__len__") or not len(self.genes):
            raise _invalid("genes", self.genes, "a list of names, at least one")
        odd = [gene for gene in self.genes if not isinstance(gene, str) or not gene]
        if odd or len({*self.genes}) < len(self.genes):
            raise InvalidRequest(
                "invalid_gene_name",
                f"genes must be names, each once; {odd[0]!r} is none."
                if odd
                else "genes must be names, each once; some occur again.",
            )

    def of(self, cells: CellRows, batches: Sequence[Any] | None = None) -> CellRows:
        """Return the data set with the chosen genes.

        Parameters
        ----------
        cells
            The data set, checked. For ``n_top_genes`` its counts come into memory.
        batches
            The labels of ``batch_key``.

        Raises
        ------
        InvalidRequest
            ``no_chosen_gene``, ``hvg_failed``, ``hvg_not_available``, ``invalid_param``.
        """
        if self.genes is not None:
            return self._named(cells)
        if not self.n_top_genes or self.n_top_genes >= len(cells.genes):
            return cells
        return ChosenCells(cells, np.flatnonzero(self._variable(_all_of(cells), batches)))

    def _named(self, cells: CellRows) -> ChosenCells:
        assert self.genes is not None
        wanted, there = {*self.genes}, {*cells.genes}
        missing = tuple(gene for gene in self.genes if gene not in there)
        columns = [at for at, gene in enumerate(cells.genes) if gene in wanted]
        if not columns:
            raise InvalidRequest(
                "no_chosen_gene",
                f"none of the {len(wanted):,} genes (first: {next(iter(self.genes))}) is in the "
                f"data set (first: {cells.genes[0]}). Name them as the data set does.",
            )
        if missing:
            warnings.warn(
                f"{len(missing):,} of {len(wanted):,} genes are not in this data set "
                f"(first: {missing[0]}); the others are used.",
                stacklevel=4,
            )
        return ChosenCells(cells, np.array(columns), missing)

    def _variable(
        self, counts: sparse.csr_matrix, batches: Sequence[Any] | None
    ) -> NDArray[np.bool_]:
        are_counts = bool((counts.data == np.floor(counts.data)).all())
        flavor = self.hvg_flavor or ("seurat_v3" if are_counts else "cell_ranger")
        if flavor == "seurat_v3" and not are_counts:
            raise InvalidRequest(
                "invalid_param",
                "hvg_flavor is 'seurat_v3', which needs counts, and these values are none. "
                "Send cell_ranger or seurat, or name the layer with the counts.",
            )
        judged = _logs(counts) if are_counts and flavor != "seurat_v3" else counts
        try:
            return variable_genes(judged, self.n_top_genes, flavor, batches)
        except ImportError as error:
            package = "scanpy" if error.name == "scanpy" else "scikit-misc"
            raise InvalidRequest(
                "hvg_not_available",
                f"n_top_genes with {flavor} needs {package}: pip install {package}. Or name the "
                "genes: genes.",
            ) from error


def _invalid(name: str, value: Any, allowed: str) -> InvalidRequest:
    return InvalidRequest("invalid_param", f"{name} is {value!r}; it must be {allowed}.")


def _all_of(cells: CellRows) -> sparse.csr_matrix:
    pieces = [
        cells.rows(start, start + CELLS_PER_READ)
        for start in range(0, cells.n_cells, CELLS_PER_READ)
    ]
    return as_csr(sparse.vstack(pieces, format="csr")).astype(np.float32)


def _logs(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Normalise each cell to 10,000 and take log1p, as the other flavours expect."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    factors = np.repeat(_NORMALISED_TO / np.maximum(totals, 1), np.diff(counts.indptr))
    logs = counts.copy()
    logs.data = np.log1p(logs.data * factors).astype(np.float32)
    return logs
