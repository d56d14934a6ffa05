"""Embed a file of cells through an endpoint; answers are kept as they come. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cells.counts_place import CountsPlace
from ..cells.h5ad import CellsFile
from ..cells.job_options import CELLS_PER_REQUEST, OBSM_KEY
from ..client import Endpoint, Report
from ..client.conversation import Conversation, converse
from ..client.pace import CONCURRENCY
from ..client.questions import REQUEST_BYTES, Limits, Questions, checked_params
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
    cell_names: bool = False,
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
    endpoint, key, chunk, request_bytes, concurrency, patience, layer, raw, gene_names, \
sum_duplicates, cell_names, params, progress
        As ``client.embed`` takes them.

    Raises
    ------
    InvalidRequest, EndpointError
        As ``client.embed`` and ``run``.
    """
    limits = Limits(chunk, request_bytes, concurrency, patience)
    there = _There(endpoint, checked_params(params), limits, cell_names)
    place = CountsPlace.asked(layer, raw, gene_names, sum_duplicates)
    done = run(source, target, there, key=key, chunk=chunk, place=place, progress=progress)
    return done, there.report


@dataclass
class _There:
    """The engine behind an endpoint."""

    endpoint: Endpoint
    params: Mapping[str, Any]
    limits: Limits
    cell_names: bool
    by_columns: bool = True
    report: Report = field(init=False)

    def identity(self) -> dict[str, Any]:
        """Name the endpoint and what is asked of it; who answers is known with its answers."""
        return {"endpoint": self.endpoint.url, "params": dict(self.params)}

    def check(self, cells: CellsFile, chunk: int) -> None:
        """Look at every cell before the first request."""
        self._questions(cells).check()

    def embed(
        self, cells: CellsFile, chunk: int, work: Unfinished, progress: Progress | None
    ) -> None:
        """Ask for the rows that are not done yet; a later beginning forgets them all."""
        questions, beginnings = self._questions(cells), iter((True,))

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

    def _questions(self, cells: CellsFile) -> Questions:
        return Questions(cells, self.params, self.limits, cell_names=self.cell_names)
