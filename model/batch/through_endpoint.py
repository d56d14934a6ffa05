"""Embed a file of cells through an endpoint; answers are kept as they come. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cells.cells import CellRows
from ..cells.gene_choice import genes_digest
from ..cells.h5ad import CellsFile
from ..client import Endpoint, Report
from ..client.about import about
from ..client.cache import Cache, cache_at
from ..client.conversation import Conversation, converse
from ..client.how import How
from ..client.questions import Questions, check_data
from .many import FileStatus, embed_files
from .run import FileReport, Progress, run
from .unfinished import Unfinished


def embed_file_through(
    source: Path,
    target: Path,
    endpoint: Endpoint,
    *,
    progress: Progress | None = None,
    **how: Any,
) -> tuple[FileReport, Report]:
    """Write a copy of `source` with ``obsm[key]``, as ``embed`` does for an AnnData.

    A run that was stopped goes on with the served entity that answered it. Where that is gone, it
    begins again.

    Parameters
    ----------
    source, target
        As ``batch.file.embed_file`` takes them. A matrix that is stored by columns is taken too.
    endpoint, progress
        As ``client.embed`` takes them.
    **how
        The fields of ``client.how.How``.

    Raises
    ------
    InvalidRequest, EndpointError
        As ``client.embed`` and ``run``.
    """
    chosen = How(**how)
    there = _There(endpoint, chosen, None if chosen.cache is None else cache_at(chosen.cache))
    done = run(
        source,
        target,
        there,
        key=chosen.key,
        chunk=chosen.chunk,
        place=chosen.place,
        progress=progress,
    )
    return done, there.report


def embed_files_through(
    sources: Sequence[Path],
    into: Path,
    endpoint: Endpoint,
    *,
    again: bool = False,
    states: Mapping[Path, Any] | None = None,
    tell: Callable[[FileStatus], None] | None = None,
    progress: Progress | None = None,
    **how: Any,
) -> list[FileStatus]:
    """Embed many files through an endpoint; see ``many.embed_files``.

    ``n_top_genes`` chooses genes for each file; ``genes`` is one list for all.

    Parameters
    ----------
    sources, into, again, states, tell, progress
        As there.
    endpoint, **how
        As ``embed_file_through`` takes them.
    """
    chosen = How(**how)  # refuses what all files would be refused for

    def one(source: Path, target: Path, progress: Progress | None) -> FileReport:
        return embed_file_through(source, target, endpoint, progress=progress, **how)[0]

    job = {"endpoint": endpoint.url, **chosen.identity()}
    return embed_files(
        sources, into, one, job, again=again, states=states, tell=tell, progress=progress
    )


@dataclass
class _There:
    """The engine behind an endpoint."""

    endpoint: Endpoint
    how: How
    cache: Cache | None
    by_columns: bool = True
    chosen: CellRows = field(init=False)
    report: Report = field(init=False)

    def identity(self) -> dict[str, Any]:
        """Name the endpoint and what is asked of it; who answers is known with its answers."""
        genes = genes_digest(self.chosen.genes)
        return {"endpoint": self.endpoint.url, "params": self.how.sent, "genes": genes}

    def check(self, cells: CellsFile, chunk: int) -> None:
        """Look at every cell before the first request, and choose the genes."""
        check_data(cells, self.how.sent)
        column = self.how.batch_key
        self.chosen = self.how.choice.of(cells, None if column is None else cells.labels(column))

    def about(self, cells: CellsFile) -> dict[str, Any]:
        """Return how the rows were made."""
        return about(cells, self.chosen, self.how.sent)

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

        limits = self.how.limits
        self.report = converse(
            self.endpoint, ask_all, concurrency=limits.concurrency, patience=limits.patience
        )

    def _questions(self) -> Questions:
        how = self.how
        return Questions(self.chosen, how.sent, how.limits, None, how.cell_names, self.cache)
