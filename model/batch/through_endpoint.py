"""Embed a file of cells through an endpoint; answers are kept as they come. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cells.cells import CellRows
from ..cells.counts_place import CountsPlace
from ..cells.gene_choice import GeneChoice, genes_digest
from ..cells.h5ad import CellsFile
from ..cells.job_options import CELLS_PER_REQUEST, OBSM_KEY
from ..client import Endpoint, Report
from ..client.about import about
from ..client.cache import Cache, cache_at
from ..client.conversation import Conversation, converse
from ..client.pace import CONCURRENCY
from ..client.questions import REQUEST_BYTES, Limits, Questions, check_data, checked_params
from .run import FileReport, Progress, run
from .unfinished import Unfinished


def embed_file_through(
    source: Path,
    target: Path,
    endpoint: Endpoint,
    *,
    key: str = OBSM_KEY,
    chunk: int = CELLS_PER_REQUEST,
    request_bytes: int = REQUEST_BYTES,
    concurrency: int = CONCURRENCY,
    patience: float | None = None,
    layer: str | None = None,
    raw: bool = False,
    gene_names: str | None = None,
    sum_duplicates: bool = False,
    genes: Sequence[str] | None = None,
    n_top_genes: int = 0,
    hvg_flavor: str | None = None,
    batch_key: str | None = None,
    cell_names: bool = False,
    cache: str | Path | None = None,
    params: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[FileReport, Report]:
    """Write a copy of `source` with ``obsm[key]``, as ``embed`` does for an AnnData.

    A run that was stopped goes on with the served entity that answered it. Where that is gone, it
    begins again.

    Parameters
    ----------
    source, target
        As ``batch.file.embed_file`` takes them. A matrix that is stored by columns is taken too.
    cache
        As ``client.embed`` takes it. Without it, what a run has done is kept beside the target.
    endpoint, key, chunk, request_bytes, concurrency, patience
        As ``client.embed`` takes them.
    layer, raw, gene_names, sum_duplicates, genes, n_top_genes, hvg_flavor, batch_key, cell_names
        As ``client.embed`` takes them.
    params, progress
        As ``client.embed`` takes them.

    Raises
    ------
    InvalidRequest, EndpointError
        As ``client.embed`` and ``run``.
    """
    limits = Limits(chunk, request_bytes, concurrency, patience)
    choice = GeneChoice(genes, n_top_genes, hvg_flavor, batch_key)
    kept = None if cache is None else cache_at(cache)
    there = _There(endpoint, checked_params(params), limits, choice, cell_names, kept)
    place = CountsPlace.asked(layer, raw, gene_names, sum_duplicates)
    done = run(source, target, there, key=key, chunk=chunk, place=place, progress=progress)
    return done, there.report


@dataclass
class _There:
    """The engine behind an endpoint."""

    endpoint: Endpoint
    params: Mapping[str, Any]
    limits: Limits
    choice: GeneChoice
    cell_names: bool
    cache: Cache | None
    by_columns: bool = True
    chosen: CellRows = field(init=False)
    report: Report = field(init=False)

    def identity(self) -> dict[str, Any]:
        """Name the endpoint and what is asked of it; who answers is known with its answers."""
        genes = genes_digest(self.chosen.genes)
        return {"endpoint": self.endpoint.url, "params": dict(self.params), "genes": genes}

    def check(self, cells: CellsFile, chunk: int) -> None:
        """Look at every cell before the first request, and choose the genes."""
        check_data(cells, self.params)
        column = self.choice.batch_key
        self.chosen = self.choice.of(cells, None if column is None else cells.labels(column))

    def about(self, cells: CellsFile) -> dict[str, Any]:
        """Return how the rows were made."""
        return about(cells, self.chosen, self.params)

    def embed(
        self, cells: CellsFile, chunk: int, work: Unfinished, progress: Progress | None
    ) -> None:
        """Ask for the rows that are not done yet; a later beginning forgets them all."""
        questions, beginnings = self._questions(), iter((True,))

        def ask_all(conversation: Conversation) -> Report:
            if next(beginnings, False) and work.done:
                conversation.go_on(work.origin)
            else:
                work.clear()
            for done, answer in questions.ask(conversation, work.done):
                work.add(answer, conversation.report().origin(self.endpoint))
                if progress:
                    progress(done, cells.n_cells)
            return conversation.report()

        limits = self.limits
        self.report = converse(
            self.endpoint, ask_all, concurrency=limits.concurrency, patience=limits.patience
        )

    def _questions(self) -> Questions:
        names = self.cell_names
        return Questions(self.chosen, self.params, self.limits, None, names, self.cache)
