"""Read cells from AnnData: a file, or the object."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from ..contract import MAX_BODY_BYTES, MAX_GENES
from ..errors import InvalidRequest, LimitExceeded
from .cells import Cells
from .checks import check_size
from .labels import labels
from .matrix import as_csr

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData


def read_cells(file: Path, columns: Collection[str] = ()) -> Cells:
    """The cells of an AnnData file: ``X``, names, and the given columns of obs; nothing else of it.

    Parameters
    ----------
    file
        An ``.h5ad``: ``X`` sparse or dense, ``[cells, genes]``, numbers of any type.
    columns
        Of obs, where it has them.

    Returns
    -------
    Cells
        ``counts`` float32 CSR, duplicates added up.

    Raises
    ------
    InvalidRequest
        ``invalid_file``: it is no readable AnnData file, or holds links to others; ``no_matrix``
        without ``X``; ``invalid_matrix``.
    LimitExceeded
        ``too_many_cells``, ``too_many_genes``: more than a row of a request may have;
        ``file_too_large``: ``X`` has more than ``MAX_BODY_BYTES``. Found before anything is read.
    """
    import h5py

    try:
        _refuse_links(file)
        with h5py.File(file, "r") as data:
            return _read(data, columns)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InvalidRequest(
            "invalid_file", f"{file.name} cannot be read as an AnnData file: {error}"
        ) from error


def _read(data: h5py.File, columns: Collection[str]) -> Cells:
    matrix = _stored(data)
    check_size(*matrix.shape, "the file")
    n_bytes = sum(part.nbytes for part in matrix.parts)
    if n_bytes > MAX_BODY_BYTES:
        raise LimitExceeded(
            "file_too_large",
            f"X of the file has {n_bytes:,} bytes when it is read; {MAX_BODY_BYTES:,} are "
            "allowed. Write the cells into several files.",
        )
    index = [str(name) for name in _column(data["obs"], data["obs"].attrs["_index"])]
    genes = [str(name) for name in _column(data["var"], data["var"].attrs["_index"])]
    obs = {c: labels(_column(data["obs"], c)) for c in columns if c and c in data["obs"]}
    if {len(index), *map(len, obs.values())} != {matrix.shape[0]}:
        raise ValueError(f"obs does not describe the {matrix.shape[0]} rows of X")
    return Cells(as_csr(matrix.read()).astype(np.float32), genes, index, obs)


@dataclass(frozen=True)
class _Stored:
    """``X`` as it lies in a file, unread: the dense array, or data, indices and indptr."""

    shape: tuple[int, int]
    parts: tuple[h5py.Dataset, ...]
    kind: Any  # scipy's class; None: dense

    def read(self) -> Any:
        values, *where = (part[()] for part in self.parts)
        if self.kind is None:
            return values
        half = values.dtype == np.float16  # for which scipy has no sparse matrix
        return self.kind((values.astype(np.float32) if half else values, *where), shape=self.shape)


def _stored(data: h5py.File) -> _Stored:
    import h5py
    from anndata.io import sparse_dataset

    found = data.get("X")
    if found is None and "obs" in data and "var" in data:
        raise _no_x()
    if isinstance(found, h5py.Dataset):
        if found.ndim != 2:
            raise ValueError(f"X has {found.ndim} dimension(s)")
        return _Stored(found.shape, (found,), None)
    described: Any = sparse_dataset(found)
    kind = sparse.csr_matrix if described.format == "csr" else sparse.csc_matrix
    parts = tuple(found[name] for name in ("data", "indices", "indptr"))
    return _Stored(tuple(described.shape), parts, kind)


def _no_x() -> InvalidRequest:
    return InvalidRequest("no_matrix", "the AnnData has no X; put the counts there.")


def _column(table: h5py.Group, name: str) -> Any:
    """A column of obs or var, or its index; its parts, where it has some, are of bounded length."""
    from anndata.io import read_elem

    stored: Any = table[name]
    for part in stored.values() if hasattr(stored, "values") else [stored]:
        if part.size > MAX_GENES:
            raise ValueError(f"{name} has {part.size:,} entries")
    if "categories" in stored.attrs:  # anndata 0.7 wrote categories beside the columns
        return read_elem(table)[name]
    return pd.Series(read_elem(stored)).astype(object)


def cells_of_anndata(adata: AnnData, columns: Collection[str] | None = None) -> Cells:
    """``X``, gene names and cell names, with the given columns of obs (None: all) as labels.

    Of a backed AnnData, ``X`` is read into memory.
    """
    values: Any = adata.X
    if values is None:
        raise _no_x()
    if hasattr(values, "to_memory"):  # sparse in a file
        values = values.to_memory()
    wanted = adata.obs.columns if columns is None else [c for c in columns if c in adata.obs]
    obs = {str(name): labels(adata.obs[name].astype(object)) for name in wanted}
    return Cells(
        as_csr(values).astype(np.float32),
        [str(gene) for gene in adata.var_names],
        [str(cell) for cell in adata.obs_names],
        obs,
    )


def _refuse_links(file: Path) -> None:
    """HDF5 files may point into other files; those were never allowed."""
    import h5py

    def outside(name: str, link: Any) -> Any:
        return name if isinstance(link, h5py.ExternalLink) else None

    def stored_outside(name: str, item: Any) -> Any:
        is_data = isinstance(item, h5py.Dataset)
        return name if is_data and (item.external or item.is_virtual) else None

    with h5py.File(file, "r") as data:
        found = data.visititems_links(outside) or data.visititems(stored_outside)
    if found is not None:
        raise InvalidRequest(
            "invalid_file", f"{file.name} holds a link to another file ({found}); copy the data in."
        )
