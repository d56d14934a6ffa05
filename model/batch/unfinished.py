"""The work of a run so far: a folder beside its target, which the next run may go on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PROGRESS, _EMBEDDINGS, _COUNTS = "progress.json", "embeddings.npy", "counts.npy"


@dataclass(frozen=True)
class Unfinished:
    """The folder of one job.

    Parameters
    ----------
    folder
        Where it is.
    job
        What the job is, for JSON: rows of another job are not gone on with.
    cells, width, counted
        Shapes of what is kept: float32 ``[cells, width]``, int32 ``[cells, counted]``.
    """

    folder: Path
    job: dict[str, Any]
    cells: int
    width: int
    counted: int

    @property
    def embeddings(self) -> Path:
        """``.npy`` of the vectors, float32 ``[cells, width]``."""
        return self.folder / _EMBEDDINGS

    @property
    def counts(self) -> Path:
        """``.npy`` of the counted genes, int32 ``[cells, counted]``."""
        return self.folder / _COUNTS

    def open(self) -> int:
        """Cells that an earlier run of this very job has done, or 0 and new arrays on disk."""
        found = self._progress()
        done = found.pop("done", 0)
        if found == self.job and self.embeddings.exists() and self.counts.exists():
            return int(done)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for path, dtype, columns in (
            (self.embeddings, np.float32, self.width),
            (self.counts, np.int32, self.counted),
        ):
            np.lib.format.open_memmap(path, "w+", dtype, (self.cells, columns))
        return 0

    def add(self, done: int, embeddings: NDArray[Any], counts: NDArray[Any]) -> None:
        """Keep the rows that follow the first `done`; only then they count as done."""
        _write(self.embeddings, done, embeddings)
        _write(self.counts, done, counts)
        draft = self.folder / "progress.draft"
        draft.write_text(json.dumps({**self.job, "done": done + len(embeddings)}))
        draft.replace(self.folder / _PROGRESS)

    def _progress(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _PROGRESS).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _write(path: Path, start: int, rows: NDArray[Any]) -> None:
    """Mapped for this piece only: pages of a file that stays mapped count as memory in use."""
    array = np.load(path, mmap_mode="r+")
    array[start : start + len(rows)] = rows
    array.flush()
