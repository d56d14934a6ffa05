"""One run over a file of cells, whoever embeds them: kept by pieces, resumable, written whole.

Finished pieces lie in a folder beside the target until all are there; then the result is written.
A run that was stopped goes on after its last finished piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from scgpt_databricks.whole_file import TargetError

from ..cells.counts_place import CountsPlace
from ..cells.files import open_cells, state_of
from ..cells.find_counts import naming_the_counts
from ..cells.h5ad import CellsFile
from ..cells.job_options import check_chunk, check_key
from ..errors import InvalidRequest
from .result import Result, check_result, write_result
from .unfinished import Unfinished

Progress = Callable[[int, int], None]


class Engine(Protocol):
    """Embeds the cells of a file: on this machine, or through an endpoint."""

    @property
    def by_columns(self) -> bool:
        """Say if a matrix that is stored by columns may come into memory."""

    def identity(self) -> dict[str, Any]:
        """Return what rows depend on beside the cells, for JSON."""

    def check(self, cells: CellsFile, chunk: int) -> None:
        """Refuse what cannot be embedded; nothing is kept or paid for yet."""

    def about(self, cells: CellsFile) -> dict[str, Any]:
        """Return how the rows were made, after ``check``."""

    def embed(
        self, cells: CellsFile, chunk: int, work: Unfinished, progress: Progress | None
    ) -> None:
        """Add the rows after ``work.done``."""


@dataclass(frozen=True)
class FileReport:
    """The result of a run.

    Parameters
    ----------
    cells
        In the file.
    resumed_at
        Cells that an earlier run had finished.
    model_digest
        The model's digest.
    note
        A sentence, where the target is not what was asked for.
    failed
        Cells that failed; their rows are NaN.
    """

    cells: int
    resumed_at: int
    model_digest: str
    note: str = ""
    failed: int = 0


def run(
    source: Path,
    target: Path,
    engine: Engine,
    *,
    key: str,
    chunk: int,
    place: CountsPlace,
    progress: Progress | None = None,
) -> FileReport:
    """Embed the cells of `source` and write `target`.

    Raises
    ------
    InvalidRequest
        ``invalid_chunk``, ``invalid_key``, ``no_cells``, ``invalid_target``, ``target_in_use``,
        ``source_changed``; and as ``open_cells`` and the engine.
    """
    check_chunk(chunk)
    check_key(key)
    state = state_of(source)
    with _target_errors(), open_cells(source, place, by_columns=engine.by_columns) as cells:
        if not cells.n_cells:
            raise InvalidRequest("no_cells", f"{source.name}: the AnnData holds no cell.")
        check_result(target, cells)
        with naming_the_counts(cells):
            engine.check(cells, chunk)
        cells.gene_columns.warn()
        with Unfinished(target) as work:
            job = {"source": state, "place": asdict(place), **engine.identity()}
            work.go_on(job)
            engine.embed(cells, chunk, work, progress)
            if state_of(source) != state:
                work.clear()
                raise InvalidRequest(
                    "source_changed",
                    f"{source} was written to while it was being embedded; start again when it "
                    "is whole.",
                )
            record = {**work.origin, **engine.about(cells)}
            result = Result(cells, work, key, record, source)
            note, digest = write_result(result), str(work.origin["model_digest"])
            failed = sum(int(rows.has_failed.sum()) for _, rows in work.rows())
            work.finish()
    return FileReport(cells.n_cells, work.resumed_at, digest, note, failed)


@contextmanager
def _target_errors() -> Iterator[None]:
    try:
        yield
    except TargetError as error:
        raise InvalidRequest("invalid_target", str(error)) from error
