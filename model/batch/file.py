"""Embed a file of cells on this machine; it may be larger than memory.

Only the matrix is read, one chunk ahead of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..cells.cells import Cells
from ..cells.counts_place import CountsPlace
from ..cells.h5ad import CellsFile
from ..cells.imputed import check_data_set
from ..cells.job_options import CELLS_PER_READ, OBSM_KEY
from ..cells.known_genes import CheckedCells, check_known_fraction
from ..client.about import about
from ..client.answered import Answered
from ..client.conversation import Report
from ..contract import Options, read_params
from ..scgpt.embedder import Embedder
from ..scgpt.read_ahead import read_ahead
from ..scgpt.tokenizer import Tokens
from .run import FileReport, Progress, run
from .unfinished import Unfinished


def embed_file(
    source: Path,
    target: Path,
    embedder: Embedder,
    *,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_READ,
    layer: str | None = None,
    raw: bool = False,
    gene_names: str | None = None,
    sum_duplicates: bool = False,
    min_known_fraction: float = Options.min_known_fraction,
    allow_imputed: bool = Options.allow_imputed,
    progress: Progress | None = None,
) -> FileReport:
    """Write a copy of `source` with ``obsm[key]``; memory does not grow with an ``.h5ad``.

    Parameters
    ----------
    source
        As ``open_cells`` takes it, with raw, normalised or log1p counts (CSR or dense) and gene
        symbols as the index of ``var``.
    target
        ``.h5ad``; or ``.csv``, ``.parquet`` or ``.npy`` for the vectors alone. It appears when it
        is complete. Its neighbour ``<target>.unfinished`` holds what is done until then.
    embedder
        The engine.
    key
        Of ``obsm``: float32 ``[cells, d_model]``. Also written: ``uns["scgpt"]`` with the model's
        digest, and of each cell's genes the numbers that were matched, unknown and truncated:
        ``obs["scgpt_matched_genes"]`` and so on. All as `model.client.embed` names them.
    chunk
        Cells of which a file is read at a time; two such pieces are in memory.
    layer, raw
        Where the counts lie, as ``client.embed`` takes it.
    gene_names
        Column of ``var`` that names the genes, as ``client.embed`` takes it.
    sum_duplicates
        Add up the columns of one name; else they are refused.
    min_known_fraction, allow_imputed
        As in a request (``contract.Options``): the one judged of the first chunk that has counts,
        the other of the first 2,048 cells that have some.
    progress
        Called with (cells done, cells in all).

    Raises
    ------
    InvalidRequest
        ``two_matrices``; what the engine or a judgement refuses; and as ``run``.
    """
    options = read_params(
        {"min_known_fraction": min_known_fraction, "allow_imputed": allow_imputed}, Options
    )
    here = _Here(embedder, options)
    place = CountsPlace.asked(layer, raw, gene_names, sum_duplicates)
    return run(source, target, here, key=key, chunk=chunk, place=place, progress=progress)


@dataclass(frozen=True)
class _Here:
    """The engine on this machine."""

    embedder: Embedder
    options: Options
    by_columns: bool = False

    def identity(self) -> dict[str, Any]:
        """Name digest and type; rows of two precisions are no one embedding."""
        return {"digest": self.embedder.digest, "dtype": str(self.embedder.network.dtype)}

    def about(self, cells: CellsFile) -> dict[str, Any]:
        """Return how the rows were made."""
        judged = ("min_known_fraction", "allow_imputed")
        return about(cells, cells, {name: getattr(self.options, name) for name in judged})

    def check(self, cells: CellsFile, chunk: int) -> None:
        """Refuse genes and values as a request would be; a later chunk has no say, as there.

        A resumed run judges the same cells again, so that its answer does not depend on the stop.
        """
        vocab = self.embedder.vocab
        for start in range(0, cells.n_cells, chunk):
            names = cells.names(start, start + chunk)  # by these a transposed file is known
            sent = Cells(cells.rows(start, start + chunk), cells.genes, names)
            judged = CheckedCells.of(sent, vocab)
            check_known_fraction(vocab, [judged], self.options.min_known_fraction)
            if sent.counts.nnz:
                break
        if not self.options.allow_imputed:  # of a fixed number of cells, so `chunk` has no say
            check_data_set(cells.rows(at, at + chunk) for at in range(0, cells.n_cells, chunk))

    def embed(
        self, cells: CellsFile, chunk: int, work: Unfinished, progress: Progress | None
    ) -> None:
        """Compute the rows that are not done yet."""
        origin = Report(0, self.embedder.digest, ()).origin(None)
        read = partial(self._tokens, cells, chunk)
        starts = range(work.done, cells.n_cells, chunk)
        for found in read_ahead(read, self.embedder.embed_tokens, starts):
            work.add(Answered.of(found), origin)
            if progress:
                progress(work.done, cells.n_cells)

    def _tokens(self, cells: CellsFile, chunk: int, start: int) -> Tokens:
        rows = cells.rows(start, start + chunk)
        return self.embedder.tokenize(rows, cells.genes, require_known=False)
