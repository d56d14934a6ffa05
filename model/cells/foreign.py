"""Make an ``.h5ad`` of what people have instead: zarr stores, and Cell Ranger's matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from ..errors import InvalidRequest
from .hdf5 import open_hdf5
from .kinds import not_anndata

_PIECE = 1 << 22  # numbers of an array that are copied at a time
_UNREADABLE = (OSError, LookupError, ValueError, TypeError, RuntimeError)
_GENES = "Gene Expression"


def from_zarr(source: Path, target: Path) -> None:
    """Copy a zarr store (v2 or v3) as anndata's other format has it, a piece at a time.

    Both formats name and describe their elements alike. An element that cannot be read here or
    has no like in HDF5 is left out.
    """
    try:
        import zarr
    except ImportError as error:
        raise InvalidRequest(
            "missing_package", f"{source.name} is a zarr store. Install zarr: pip install zarr."
        ) from error
    with h5py.File(target, "w") as file:
        _copy_group(source, file, partial(zarr.open, mode="r"))


def from_10x(source: Path, target: Path) -> None:
    """Read an ``.h5`` of Cell Ranger, of version 3 on or before it."""
    with open_hdf5(source) as file:
        if len(file) > 1:
            raise not_anndata(
                source, f"it holds the genomes {', '.join(file)}", "Write each into its own file."
            )
        (group,) = file.values()
        n_genes, n_cells = group["shape"][:2]
        # Its columns are cells, so that by rows they are cells x genes.
        parts = tuple(group[name][()] for name in ("data", "indices", "indptr"))
        counts = sparse.csr_matrix(parts, shape=(int(n_cells), int(n_genes)))
        if "features" in group:
            ids, names, types = (group["features"][key] for key in ("id", "name", "feature_type"))
        else:
            ids, names, types = group["genes"], group["gene_names"], None
        _write(
            target,
            counts,
            _texts(group["barcodes"]),
            _texts(ids),
            _texts(names),
            None if types is None else _texts(types),
        )


def from_mtx(source: Path, target: Path) -> None:
    """Read a matrix of Cell Ranger's text form, and the two tables beside it."""
    from scipy.io import mmread

    matrix = _matrix_in(source)
    prefix = matrix.name.removesuffix(".gz").removesuffix("matrix.mtx")
    barcodes = _table(matrix, [f"{prefix}barcodes.tsv"])
    features = _table(matrix, [f"{prefix}features.tsv", f"{prefix}genes.tsv"])
    counts = sparse.csr_matrix(mmread(str(matrix)))
    if counts.shape == (len(features), len(barcodes)):
        counts = counts.T.tocsr()
    elif counts.shape != (len(barcodes), len(features)):
        raise InvalidRequest(
            "invalid_matrix",
            f"{matrix.name} is {counts.shape[0]} x {counts.shape[1]}, but {len(features)} genes "
            f"and {len(barcodes)} cells are named beside it. Do the files belong together?",
        )
    columns = [list(features[column]) for column in features]
    names = columns[1] if len(columns) > 1 else columns[0]
    types = columns[2] if len(columns) > 2 else None
    _write(target, counts, list(barcodes[0]), columns[0], names, types)


def _matrix_in(source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted(
        path for path in source.iterdir() if path.name.removesuffix(".gz").endswith(".mtx")
    )
    if len(found) > 1:
        raise not_anndata(
            source, f"it holds {len(found)} matrices", f"Name one, such as {found[0].name}."
        )
    return found[0]


def _table(matrix: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read the table beside a matrix that has one of these names, packed or not."""
    for name in names:
        for path in (matrix.with_name(name), matrix.with_name(f"{name}.gz")):
            if path.is_file():
                return pd.read_csv(
                    path, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3
                )
    raise not_anndata(
        matrix, f"beside it there is no {' or '.join(names)}", "Put it there, packed or not."
    )


def _write(
    target: Path,
    counts: sparse.csr_matrix,
    cells: Sequence[str],
    ids: Sequence[str],
    names: Sequence[str],
    types: Sequence[str] | None,
) -> None:
    """Write the genes among the features; other features may have a gene's name.

    A symbol that occurs again gives way to the gene's id, as a column needs a name of its own.
    """
    from anndata import AnnData

    again = pd.Series(names).duplicated().to_numpy()
    var = pd.DataFrame(
        {"gene_ids": list(ids), "gene_symbols": list(names)},
        index=np.where(again, ids, names).astype(object),
    )
    adata = AnnData(counts, obs=pd.DataFrame(index=list(cells)), var=var)
    if types is not None and _GENES in types:
        adata = adata[:, [kind == _GENES for kind in types]]
    adata.write_h5ad(target)


def _texts(stored: Any) -> list[str]:
    return [text.decode() if isinstance(text, bytes) else str(text) for text in stored[()]]


def _copy_group(folder: Path, into: h5py.Group, read: Callable[[str], Any]) -> None:
    """Copy a group; its elements are opened one by one, as one may be unreadable."""
    into.attrs.update(_attributes(read(str(folder)).attrs))
    for element in sorted(path for path in folder.iterdir() if _is_element(path)):
        try:
            found = read(str(element))
            if hasattr(found, "shape"):
                _copy_array(found, into, element.name)
            else:
                _copy_group(element, into.create_group(element.name), read)
        except _UNREADABLE:
            into.pop(element.name, None)
            if "column-order" in into.attrs:
                kept = [name for name in into.attrs["column-order"] if name != element.name]
                into.attrs["column-order"] = _texts_of(kept)


def _is_element(path: Path) -> bool:
    return any((path / described).is_file() for described in (".zarray", ".zgroup", "zarr.json"))


def _copy_array(array: Any, into: h5py.Group, name: str) -> None:
    first = np.asarray(array[()] if array.ndim == 0 else array[:1])
    is_text = first.dtype.kind in "OUT"
    dtype: Any = h5py.string_dtype() if is_text else first.dtype
    packed = {"compression": "lzf", "chunks": True} if array.ndim and array.size else {}
    stored = into.create_dataset(name, array.shape, dtype, **packed)
    stored.attrs.update(_attributes(array.attrs))
    if array.ndim == 0:
        stored[()] = first.astype(object) if is_text else first
        return
    step = max(1, _PIECE // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, array.shape[0], step):
        piece = np.asarray(array[start : start + step])
        stored[start : start + step] = piece.astype(object) if is_text else piece


def _attributes(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as HDF5 holds them; it has no null, and an empty list needs a type."""
    texts = {
        name: _texts_of(value) if isinstance(value, list) and _is_text(value) else value
        for name, value in dict(attrs).items()
    }
    return {name: value for name, value in texts.items() if value is not None}


def _is_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _texts_of(values: Sequence[str]) -> Any:
    return np.array(values, dtype=h5py.string_dtype())
