"""scGPT as serving asks for it: the first engine (see ``serve.engine``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cells.known_genes import CheckedCells
from ..wire.embeddings import CellEmbeddings, GeneEmbeddings
from ..wire.genes_in_context import GenesInContext
from .embedder import Embedder
from .genes_in_context import embed_prepared_in_context
from .joining import Joined
from .params import ScgptOptions, check_options
from .prepare import Prepared


class ScgptEngine:
    """An ``Embedder`` that takes checked cells and the options of a request.

    Parameters
    ----------
    join_ms
        Milliseconds for which a request for cells waits for others, to share their batches; 0: each
        is computed alone.
    """

    options = ScgptOptions

    def __init__(self, embedder: Embedder, join_ms: float = 0.0) -> None:
        self.embedder, self.vocab = embedder, embedder.vocab
        self.width = embedder.config.d_model
        self._joined = Joined(self._embed, lambda: embedder.budget.tokens, join_ms)

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
        """Embed each cell; a cell without any known gene gets zeros.

        Requests of several threads share batches where they want the same tokens.
        """
        tokens = ScgptOptions(ties=options.ties, max_length=options.max_length, seed=options.seed)
        most = options.max_length or self.embedder.config.max_length
        return self._joined(sent, tokens, sum(_most_tokens(checked, most) for checked in sent))

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

    def _embed(self, sent: Sequence[CheckedCells], options: ScgptOptions) -> list[CellEmbeddings]:
        found = self.embedder.embed_prepared(self._prepared(sent, options))
        return found.split([checked.cells.counts.shape[0] for checked in sent])

    def _prepared(self, sent: Sequence[CheckedCells], options: ScgptOptions) -> Prepared:
        return Prepared.of(sent, self.vocab, self.embedder.config, options)


def _most_tokens(checked: CheckedCells, most: int) -> int:
    """Bound the tokens of some cells, before their genes are known."""
    values = np.diff(checked.cells.counts.indptr)  # [cells]
    return int(np.minimum(values + 1, most).sum())
