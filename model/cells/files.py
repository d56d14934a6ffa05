"""The one door for files of cells: whatever kind they are, they are read as an ``.h5ad``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .counts_place import CountsPlace
from .foreign import from_10x, from_mtx, from_zarr
from .h5ad import CellsFile
from .kinds import damages_told, kind_of

_CONVERT = {"zarr": from_zarr, "10x": from_10x, "mtx": from_mtx}


@contextmanager
def open_cells(
    path: Path, place: CountsPlace | None = None, *, by_columns: bool = False
) -> Iterator[CellsFile]:
    """Open cells for reading a piece at a time.

    Parameters
    ----------
    path
        An ``.h5ad``, a zarr store, Cell Ranger's ``.h5``, or a folder with its ``matrix.mtx``. All
        but the first become an ``.h5ad`` in a temporary folder.
    place
        The matrix that is read; by default ``X``.
    by_columns
        Take a matrix that is stored by columns, too; it comes into memory.

    Raises
    ------
    InvalidRequest
        ``not_anndata``: it is something else, or damaged; and as ``CellsFile``.
    """
    kind = kind_of(path)
    place = place or CountsPlace()
    if kind == "h5ad":
        with CellsFile(path, place, by_columns=by_columns) as cells:
            yield cells
        return
    with tempfile.TemporaryDirectory(prefix="scgpt-") as folder:
        made = Path(folder) / f"{path.name}.h5ad"
        with damages_told(path):
            _CONVERT[kind](path, made)
        with CellsFile(made, place, by_columns=by_columns) as cells:
            yield cells


def state_of(path: Path) -> list[str | int]:
    """Return what changes where a file or folder is written to: path, size, time (ns)."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    found = [file.stat() for file in files]
    return [
        os.path.realpath(path),  # which takes a link that leads to itself
        sum(each.st_size for each in found),
        max((each.st_mtime_ns for each in found), default=0),
    ]
