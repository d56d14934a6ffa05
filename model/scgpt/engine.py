"""scGPT as serving asks for it: the first engine (see ``serve.engine``)."""

from __future__ import annotations

from collections.abc import Sequence

from ..cells.known_genes import CheckedCells
from ..wire.embeddings import CellEmbeddings, GeneEmbeddings
from ..wire.genes_in_context import GenesInContext
from .embedder import Embedder
from .genes_in_context import embed_prepared_in_context
from .params import ScgptOptions, check_options
from .prepare import Prepared


class ScgptEngine:
    """An ``Embedder`` that takes checked cells and the options of a request."""

    options = ScgptOptions

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.vocab = embedder, embedder.vocab
        self.width = embedder.config.d_model

    @property
    def digest(self) -> str:
        """Identity of the checkpoint."""
        return self.embedder.digest

    @property
    def choices(self) -> str:
        """A line on the device, the type and the release of torch that compute here."""
        return self.embedder.choices

    def check_options(self, options: ScgptOptions) -> None:
        """Refuse options that the checkpoint cannot follow."""
        check_options(options, self.embedder.config, len(self.vocab))

    def embed_cells(
        self, sent: Sequence[CheckedCells], options: ScgptOptions
    ) -> list[CellEmbeddings]:
        """Embed each cell; a cell without any known gene gets zeros."""
        found = self.embedder.embed_prepared(self._prepared(sent, options))
        return found.split([checked.cells.counts.shape[0] for checked in sent])

    def embed_genes(self, genes: Sequence[str] | None, page: slice) -> GeneEmbeddings:
        """Return a page of the static vectors of some genes, or of all."""
        return self.embedder.embed_genes(genes, page=page)

    def embed_genes_in_context(
        self, sent: Sequence[CheckedCells], options: ScgptOptions, max_vectors: int
    ) -> list[GenesInContext]:
        """Embed the genes of cells, by cell or by group."""
        prepared = self._prepared(sent, options)
        cells = [checked.cells for checked in sent]
        return embed_prepared_in_context(
            self.embedder, prepared, cells, options.group_by, options.genes, max_vectors
        )

    def _prepared(self, sent: Sequence[CheckedCells], options: ScgptOptions) -> Prepared:
        return Prepared.of(sent, self.vocab, self.embedder.config, options)
