"""The door between serving and the families of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..cells.known_genes import CheckedCells, Vocabulary
from ..contract import Options
from ..wire.embeddings import CellEmbeddings, GeneEmbeddings
from ..wire.genes_in_context import GenesInContext


class Engine(Protocol):
    """A model that answers requests; each family of models brings one.

    Serving reads and checks a request, judges its cells, filters them, and writes the answer. The
    engine computes. Its results name the digest of the model. The rows of a request come together,
    so that their cells can share batches; each row gets a result of its own.
    """

    @property
    def options(self) -> type[Options]:
        """The params that a request may have: the common ones and the family's own."""
        ...

    @property
    def vocab(self) -> Vocabulary:
        """The genes that the model knows."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def digest(self) -> str:
        """Identity of the model, which every answer repeats."""
        ...

    @property
    def choices(self) -> str:
        """A line on the device, the type and the release that compute here."""
        ...

    def check_options(self, options: Any) -> None:
        """Refuse options of the type ``self.options`` that this model cannot follow."""
        ...

    def embed_cells(self, sent: Sequence[CheckedCells], options: Any) -> list[CellEmbeddings]:
        """Embed each cell; a cell without any known gene gets zeros."""
        ...

    def embed_genes(self, genes: Sequence[str] | None, page: slice) -> GeneEmbeddings:
        """Return a page of the static vectors of some genes, or of all (None)."""
        ...

    def embed_genes_in_context(
        self, sent: Sequence[CheckedCells], options: Any, max_vectors: int
    ) -> list[GenesInContext]:
        """Embed genes by cell or ``group_by``; refuse more than `max_vectors` for one row."""
        ...
