"""Tell by its content what a file or folder of cells is; say of other kinds what to do."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import h5py

from ..errors import InvalidRequest
from .hdf5 import open_hdf5

Kind = Literal["h5ad", "zarr", "10x", "mtx"]
MATRIX = "matrix.mtx"  # of a folder that Cell Ranger wrote, often with a prefix, often with .gz
_MATRIX_MARKET = b"%%MatrixMarket"
_ZARR = (".zgroup", ".zmetadata", "zarr.json")
_OLD_10X = {
    "barcodes",
    "genes",
    "data",
    "indices",
    "indptr",
}  # of each genome, before Cell Ranger 3

# h5py, zarr and anndata raise these on files that are not what they say.
_DAMAGES = (OSError, LookupError, ValueError, TypeError, RuntimeError, AttributeError, EOFError)

_CONVERT_IN_R = "Convert it in R: zellkonverter::writeH5AD writes .h5ad."
_UNPACK = "Unpack it first."
_BY_FIRST_BYTES = (
    ((b"version https://git-lfs",), "a Git LFS pointer", "Fetch the file itself: git lfs pull."),
    ((b"<!doctype", b"<html"), "a web page (HTML)", "The download failed; fetch it again."),
    ((b"X\n\0", b"A\n", b"B\n\0", b"RDX", b"RDA"), "an R object", _CONVERT_IN_R),
    ((b"PK\3\4",), "a zip archive", f"{_UNPACK} A zarr store is read as a folder."),
    ((b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"), "a compressed file", _UNPACK),
    ((b"PAR1",), "a Parquet table", "Make an AnnData of it, and write that with write_h5ad."),
    ((b"\x93NUMPY",), "a numpy array", "Make an AnnData of it, and write that with write_h5ad."),
)
_BY_GROUPS = (
    ({"mod"}, "MuData, several data sets in one", 'Take one out: mudata.read(file)["rna"].'),
    ({"row_attrs", "col_attrs"}, "a loom file", "Convert it: anndata.io.read_loom(file)."),
    ({"assays", "cell.names"}, "an h5Seurat file", "Convert it in R: SeuratDisk::Convert."),
    (
        {"barcode_idx", "umi"},
        "10x's list of molecules",
        "The counts are beside it, in filtered_feature_bc_matrix.h5.",
    ),
    ({"tables", "zarr.json"}, "SpatialData", "Name the table in it: STORE/tables/NAME."),
    ({"tables", ".zgroup"}, "SpatialData", "Name the table in it: STORE/tables/NAME."),
)
_NOT_IN_TEXT = {*range(32)} - {*b"\a\b\t\n\f\r\x1b"} | {0x7F}


def kind_of(path: Path) -> Kind:
    """Tell which of the kinds that are read a file or folder is.

    Raises
    ------
    InvalidRequest
        ``not_anndata``: it is something else. The sentence names it and says what to do.
    """
    with damages_told(path):
        if path.is_dir():
            return _kind_of_folder(path)
        if path.exists() and not path.is_file():  # reading a pipe would wait for its writer
            raise not_anndata(path, "it is a pipe or a device", "Name a file or a folder.")
        if h5py.is_hdf5(path):
            return _kind_of_hdf5(path)
        return _kind_of_other(path)


@contextmanager
def damages_told(path: Path) -> Iterator[None]:
    """Say of a file that cannot be read what the library says (``not_anndata``)."""
    try:
        yield
    except _DAMAGES as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise not_anndata(
            path, f"it cannot be read ({why})", "Fetch or copy it again, or write it anew."
        ) from error


def not_anndata(path: Path, what: str, advice: str) -> InvalidRequest:
    """Say what a file is instead."""
    return InvalidRequest("not_anndata", f"{path.name} is no AnnData file: {what}. {advice}")


def _kind_of_folder(path: Path) -> Kind:
    names = {entry.name for entry in path.iterdir()}
    if any(name.removesuffix(".gz").endswith(".mtx") for name in names):
        return "mtx"
    if not names & {*_ZARR}:
        raise not_anndata(
            path,
            "it is a folder without a zarr store and without a matrix.mtx",
            "Name the file or folder with the cells.",
        )
    _refuse_groups(path, names)
    return "zarr"


def _kind_of_hdf5(path: Path) -> Kind:
    with open_hdf5(path) as file:
        names = set(file)
        if is_10x(file):
            return "10x"
        _refuse_groups(path, names)
        if not names & {"obs", "var", "X"}:
            has = ", ".join(sorted(names)[:5]) or "nothing"
            raise not_anndata(
                path, f"it is an HDF5 file that holds {has}", "It needs X, obs and var."
            )
    return "h5ad"


def is_10x(file: h5py.File) -> bool:
    """Find out if Cell Ranger wrote a file: one group ``matrix``, or one per genome."""
    return any(
        isinstance(group, h5py.Group)
        and {*group} >= _OLD_10X - {"genes"}
        and bool({*group} & {"features", "genes"})
        for group in file.values()
    )


def _refuse_groups(path: Path, names: set[str]) -> None:
    for groups, what, advice in _BY_GROUPS:
        if groups <= names:
            raise not_anndata(path, f"it is {what}", advice)


def _kind_of_other(path: Path) -> Kind:
    with path.open("rb") as file:
        head = file.read(512)
    is_packed = head.startswith(b"\x1f\x8b")
    if is_packed:
        try:
            with gzip.open(path) as packed:
                head = packed.read(512)
        except (OSError, EOFError, zlib.error):
            raise not_anndata(path, "it is a damaged gzip file", "Fetch it again.") from None
    if head.startswith(_MATRIX_MARKET):
        return "mtx"
    if not head:
        raise not_anndata(path, "it is empty", "Fetch or copy it again.")
    for starts, what, advice in _BY_FIRST_BYTES:
        if head.startswith(starts) or head.lower().lstrip().startswith(starts):
            raise not_anndata(path, f"it is {what}", advice)
    if is_packed:
        raise not_anndata(path, "it is compressed with gzip", "Unpack it first: gunzip.")
    if head.startswith(b"\x89HDF"):
        raise not_anndata(path, "it is a damaged HDF5 file", "Fetch or copy it again.")
    if not set(head) & _NOT_IN_TEXT:
        advice = "Read it with anndata.io.read_csv or read_text, and write that with write_h5ad."
        raise not_anndata(path, "it is a text file", advice)
    raise not_anndata(path, "it is of an unknown kind", "Write it with adata.write_h5ad.")
