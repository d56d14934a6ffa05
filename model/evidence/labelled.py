"""Cells of known types, on which versions are compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..cells.cells import Cells
from ..cells.checks import check_cells
from ..cells.counts_place import CountsPlace
from ..cells.h5ad import read_cells
from ..errors import InvalidRequest
from ..judge.metrics import check_batches, check_labels

MOST_CELLS = 5_000
"""Silhouettes and PCA need memory that grows with the square of the cells."""


@dataclass(frozen=True)
class Labelled:
    """Cells with a type each, and perhaps a batch.

    Parameters
    ----------
    name
        Of the file, without its ending.
    source
        Path of the file.
    digest
        sha256 over the file, and over which of its columns and matrices are read.
    """

    name: str
    source: str
    digest: str
    cells: Cells
    types: NDArray[np.str_]
    batches: NDArray[np.str_] | None

    def __str__(self) -> str:
        kinds = len(np.unique(self.types))
        return f"{self.name}: {len(self.types):,} cells of {kinds} types"


def read_labelled(
    path: Path, labels: str, batches: str | None = None, place: CountsPlace | None = None
) -> Labelled:
    """Read the cells of a file that versions are evaluated on.

    Parameters
    ----------
    path
        An ``.h5ad`` with counts, raw or normalised.
    labels, batches
        Columns of obs.
    place
        Where the counts are; by default in ``X``.

    Raises
    ------
    InvalidRequest
        It is no AnnData file, has no such column or more than :data:`MOST_CELLS` cells; or its
        labels cannot be scored: ``no_labels``, ``one_label``, ``rare_labels``, ``one_batch``.
        Values and names of genes as ``check_cells``.
    """
    place = place or CountsPlace()
    columns = [labels, *([batches] if batches is not None else [])]
    found = read_cells(path, columns, place)
    for column in columns:
        if column not in found.obs:
            raise InvalidRequest(
                "no_labels",
                f"{path.name} has no column {column!r} in obs; its columns: "
                f"{', '.join(_columns(path)) or 'none'}.",
            )
    n_cells = found.counts.shape[0]
    if n_cells > MOST_CELLS:
        raise InvalidRequest(
            "too_many_cells",
            f"{path.name} has {n_cells:,} cells; {MOST_CELLS:,} at most are evaluated. Take a "
            "sample: scanpy.pp.subsample(adata, n_obs=5000).",
        )
    check_cells(found.counts, found.genes)
    of_each = (
        None
        if batches is None
        else check_batches(np.asarray(found.obs[batches], dtype=object), n_cells)
    )
    return Labelled(
        path.stem,
        str(path),
        _digest(path, labels, batches, place),
        found,
        check_labels(np.asarray(found.obs[labels], dtype=object), n_cells),
        of_each,
    )


def _columns(path: Path) -> list[str]:
    with h5py.File(path, "r") as file:
        return [str(name) for name in file["obs"].attrs.get("column-order", ())]


def _digest(path: Path, *read: object) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(repr(read).encode())
    return digest.hexdigest()
