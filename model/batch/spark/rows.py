"""A cell as a row of a table: packed alone, with the genes that it expresses and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from ...cells.cells import CellRows, Cells
from ...cells.checks import check_cells, check_genes
from ...contract import PACKED
from ...errors import InvalidRequest
from ...wire.codec import decode_cells, encode_cells

CELL, SOURCE, PLACE = "cell_id", "source", "source_row"
STATE = "source_state"
CELL_COLUMNS = pa.schema(
    [
        (SOURCE, pa.string()),
        (STATE, pa.string()),
        (PLACE, pa.int64()),
        (CELL, pa.string()),
        (PACKED, pa.string()),
    ]
)
"""A table of cells. Only ``packed`` is ever read for an embedding; the others say whose it is."""


@dataclass(frozen=True)
class Origin:
    """A file of cells, as its rows name it.

    Parameters
    ----------
    name
        Of the file.
    state
        Changes where the file is written to, or another matrix of it is read.
    """

    name: str
    state: str


def cell_tables(
    cells: CellRows, origin: Origin, start: int, chunk: int
) -> Iterator[tuple[int, pa.Table]]:
    """Read cells a piece at a time and make rows of them.

    The same cell gives the same row, whatever the order of the file's genes and the pieces.

    Parameters
    ----------
    cells
        The file, open.
    origin
        The file's name and state.
    start
        First cell.
    chunk
        Cells of a piece; one piece is in memory.

    Yields
    ------
    tuple
        Cells that are done with the piece, and the piece: ``CELL_COLUMNS``.

    Raises
    ------
    InvalidRequest
        As ``check_cells``.
    """
    check_genes(cells.genes, len(cells.genes))
    by_name = np.argsort(np.array(cells.genes, dtype=object), kind="stable")
    genes = np.array(cells.genes, dtype=object)[by_name]
    place = np.argsort(by_name)
    for first in range(start, cells.n_cells, chunk):
        stop = min(first + chunk, cells.n_cells)
        counts = cells.rows(first, stop)
        check_cells(counts, cells.genes)
        packed = [*_packed(_columns_moved(counts, place), genes)]
        n = stop - first
        yield (
            stop,
            pa.table(
                [
                    pa.array([origin.name] * n),
                    pa.array([origin.state] * n),
                    pa.array(np.arange(first, stop)),
                    pa.array(cells.names(first, stop)),
                    pa.array(packed),
                ],
                schema=CELL_COLUMNS,
            ),
        )


def _columns_moved(counts: sparse.csr_matrix, place: NDArray[np.int64]) -> sparse.csr_matrix:
    moved = sparse.csr_matrix((counts.data, place[counts.indices], counts.indptr), counts.shape)
    moved.sort_indices()
    moved.eliminate_zeros()
    return moved


def _packed(counts: sparse.csr_matrix, genes: NDArray[np.object_]) -> Iterator[str]:
    for i in range(counts.shape[0]):
        some = slice(counts.indptr[i], counts.indptr[i + 1])
        values, names = counts.data[some], genes[counts.indices[some]].tolist()
        columns = np.arange(len(values))
        cell = sparse.csr_matrix((values, columns, [0, len(values)]), (1, len(values)))
        yield encode_cells(cell, names)


def read_cell(packed: str | None) -> Cells:
    """Read a row again.

    Raises
    ------
    InvalidRequest
        ``no_cell``: null or empty; ``not_one_cell``; and as ``decode_cells`` and ``check_cells``.
    """
    if not packed:
        raise InvalidRequest("no_cell", f"{PACKED} is null or empty; it must be a packed cell.")
    cells = decode_cells(packed)
    if cells.counts.shape[0] != 1:
        raise InvalidRequest(
            "not_one_cell",
            f"{PACKED} holds {cells.counts.shape[0]} cells; a row of a table must hold one.",
        )
    check_cells(cells.counts, cells.genes)
    return cells


def together(cells: Sequence[Cells]) -> Cells:
    """Put cells with genes of their own below each other, with a column for each gene of any."""
    column: dict[str, int] = {}
    places = [[column.setdefault(gene, len(column)) for gene in each.genes] for each in cells]
    indices = [
        np.array(place, np.int64)[each.counts.indices]
        for place, each in zip(places, cells, strict=True)
    ]
    lengths = [len(each.counts.data) for each in cells]
    counts = sparse.csr_matrix(
        (
            np.concatenate([each.counts.data for each in cells]),
            np.concatenate(indices),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        shape=(len(cells), len(column)),
    )
    counts.sort_indices()
    return Cells(counts, [*column])
