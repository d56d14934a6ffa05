"""Judge if cells are about genes that a model knows.

The refusal is about a request as a whole; whether a cell is answered, and how, never depends on
the cells beside it in any other way. Cells without counts say nothing about names, so a request of
nothing but empty cells passes, and each of its rows is flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidRequest
from .cells import Cells
from .checks import check_cells

UNKNOWN = -1


class Vocabulary(Protocol):
    """The genes that a model knows."""

    def __len__(self) -> int: ...

    def lookup(self, genes: Iterable[str]) -> NDArray[np.int64]:
        """Return the place of each gene, ``UNKNOWN`` where there is none: int64 ``[genes]``."""
        ...

    def likely_cause(self, unknown: Sequence[str], cell_ids: Sequence[str] = ()) -> str:
        """Say why these names of genes are probably unknown, and what to do about it."""
        ...


@dataclass(frozen=True)
class CheckedCells:
    """Cells that were checked, and their genes looked up.

    Parameters
    ----------
    cells
        Passed ``check_cells``.
    places
        int64 ``[genes]``: the place of each column in the model's vocabulary, or ``UNKNOWN``.
    """

    cells: Cells
    places: NDArray[np.int64]

    @classmethod
    def of(cls, cells: Cells, vocab: Vocabulary) -> CheckedCells:
        """Check cells and look their genes up (errors as ``check_cells``)."""
        check_cells(cells.counts, cells.genes)
        return cls(cells, vocab.lookup(cells.genes))

    def narrowed(self, cells: Cells) -> CheckedCells:
        """Return some of these cells with some of their genes."""
        place = dict(zip(self.cells.genes, self.places, strict=True))
        return CheckedCells(cells, np.array([place[gene] for gene in cells.genes], np.int64))


def check_known_fraction(vocab: Vocabulary, sent: Sequence[CheckedCells], least: float) -> None:
    """Refuse a request most of whose counts lie in genes that the vocabulary does not have.

    Parameters
    ----------
    vocab
        The model's.
    sent
        All cells of the request.
    least
        Share of the sum of all values that must lie in known genes, 0 .. 1; 0 refuses nothing.

    Raises
    ------
    InvalidRequest
        ``no_known_gene`` when no column is known, ``too_few_known_genes`` below the share. The
        sentence names the likely cause.
    """
    known = total = 0.0
    columns = 0
    for checked in sent:
        found = checked.places != UNKNOWN
        counts = checked.cells.counts
        sums = np.bincount(counts.indices, weights=counts.data, minlength=len(found))
        known, total = known + float(sums[found].sum()), total + float(sums.sum())
        columns += int(found.sum())
    if least == 0 or (columns and known >= least * total):
        return
    places = {
        gene: place
        for checked in sent
        for gene, place in zip(checked.cells.genes, checked.places, strict=True)
    }
    ids = [name for checked in sent for name in checked.cells.ids or []]
    if not columns:
        code = "no_known_gene"
        said = f"none of the {len(places)} genes is in the vocabulary of {len(vocab)} tokens"
    else:
        code = "too_few_known_genes"
        said = (
            f"only {known / total:.1%} of the counts lie in known genes "
            f"({columns} of {sum(len(checked.places) for checked in sent)} columns are known), "
            f"at least {least:.0%} must"
        )
    unknown = [gene for gene, place in places.items() if place == UNKNOWN]
    named = f" (unknown: {', '.join(unknown[:3])})" if unknown else ""
    raise InvalidRequest(
        code,
        f"{said}{named}. {vocab.likely_cause(unknown, ids)} "
        "min_known_fraction sets the threshold; 0 turns it off.",
    )


def check_any_known(vocab: Vocabulary, genes: Sequence[str], places: NDArray[np.int64]) -> None:
    """Refuse genes none of which is known (``no_known_gene``)."""
    if not len(genes):
        raise InvalidRequest("no_known_gene", "no gene at all is named; name at least one.")
    if not (places != UNKNOWN).any():
        raise InvalidRequest(
            "no_known_gene",
            f"none of the {len(genes)} genes is in the vocabulary of {len(vocab)} tokens "
            f"(first: {', '.join(genes[:3])}). {vocab.likely_cause(genes)}",
        )
