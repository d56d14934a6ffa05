"""Kinds of files that people have: read, or named in one sentence."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest
from scipy import io, sparse

from scgpt_databricks.model.cells.files import open_cells, state_of
from scgpt_databricks.model.errors import InvalidRequest

COUNTS = (np.arange(24).reshape(3, 8) % 5).astype(np.float32)
GENES = [*(f"GENE{i}" for i in range(6)), "GENE0"]
IDS = [f"ENSG{i:03}" for i in range(7)]
CELLS = ["AA-1", "CC-1", "GG-1"]
KINDS = ["Gene Expression"] * 7 + ["Antibody Capture"]


def write_10x(path: Path, *, version: int = 3, genomes: tuple[str, ...] = ("GRCh38",)) -> Path:
    """As Cell Ranger lays it out: genes x cells by columns, names as bytes."""
    by_columns = sparse.csc_matrix(COUNTS.T.astype(np.int32))
    with h5py.File(path, "w") as file:
        for genome in genomes if version == 2 else ("matrix",):
            group = file.create_group(genome)
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(by_columns, part)
            group["shape"] = np.array(by_columns.shape, np.int32)
            group["barcodes"] = np.array(CELLS, "S")
            names, ids = np.array([*GENES, "CD3"], "S"), np.array([*IDS, "CD3"], "S")
            if version == 2:
                group["genes"], group["gene_names"] = ids, names
            else:
                features = group.create_group("features")
                features["id"], features["name"] = ids, names
                features["feature_type"] = np.array(KINDS, "S")
    return path


def write_mtx(folder: Path, *, old: bool = False, prefix: str = "", turned: bool = False) -> Path:
    folder.mkdir()
    ending, features = ("", "genes.tsv") if old else (".gz", "features.tsv")
    matrix = COUNTS if turned else COUNTS.T
    io.mmwrite(folder / "m.mtx", sparse.coo_matrix(matrix.astype(np.int32)))
    columns = zip([*IDS, "CD3"], [*GENES, "CD3"], *([] if old else [KINDS]), strict=True)
    texts = {
        "matrix.mtx": (folder / "m.mtx").read_text(),
        features: "".join("\t".join(line) + "\n" for line in columns),
        "barcodes.tsv": "".join(f"{cell}\n" for cell in CELLS),
    }
    (folder / "m.mtx").unlink()
    for name, text in texts.items():
        data = text.encode() if old else gzip.compress(text.encode())
        (folder / f"{prefix}{name}{ending}").write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("make", "n_genes"),
    [
        (lambda folder: write_10x(folder / "filtered_feature_bc_matrix.h5"), 7),
        (lambda folder: write_10x(folder / "old.h5", version=2), 8),
        (lambda folder: write_mtx(folder / "new"), 7),
        (lambda folder: write_mtx(folder / "old", old=True), 8),
        (lambda folder: write_mtx(folder / "geo", prefix="GSM1_"), 7),
        (lambda folder: write_mtx(folder / "turned", turned=True), 7),
        (lambda folder: write_mtx(folder / "file") / "matrix.mtx.gz", 7),
    ],
    ids=["h5", "h5 of version 2", "mtx", "mtx of version 2", "with a prefix", "turned", "by file"],
)
def test_matrices_of_cell_ranger(
    make: Callable[[Path], Path], n_genes: int, tmp_path: Path
) -> None:
    """Genes by symbol; other features, which may have a gene's name, stay out."""
    with open_cells(make(tmp_path)) as cells:
        names = [*GENES[:6], "ENSG006", "CD3"][:n_genes]
        assert (cells.genes, cells.names(0, 3)) == (names, CELLS)
        np.testing.assert_array_equal(cells.rows(0, 3).toarray(), COUNTS[:, :n_genes])
        assert list(anndata.read_h5ad(cells.path).var["gene_symbols"]) == [*GENES, "CD3"][:n_genes]


def with_groups(*names: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name in names:
                file.create_group(name)

    return write


def loom(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["matrix"] = COUNTS.T
        file.create_group("row_attrs"), file.create_group("col_attrs")


def cut_off(path: Path) -> None:
    anndata.AnnData(COUNTS).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:3000])


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


def folder_with(*names: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_text("%%MatrixMarket")

    return make


def data(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "mudata": (with_groups("mod", "obs", "var"), r'MuData.*\["rna"\]'),
    "loom": (loom, "a loom file.*read_loom"),
    "h5seurat": (with_groups("assays", "cell.names"), "h5Seurat.*SeuratDisk"),
    "molecules": (with_groups("umi", "barcode_idx"), "molecules.*filtered_feature_bc_matrix.h5"),
    "genomes": (lambda p: write_10x(p, version=2, genomes=("hg19", "mm10")), "genomes hg19, mm10"),
    "keras": (with_groups("model_weights"), "HDF5 file that holds model_weights"),
    "no group": (with_groups(), "HDF5 file that holds nothing"),
    "cut off": (cut_off, "no AnnData file.*truncated"),
    "empty": (data(b""), "it is empty"),
    "lfs": (data(b"version https://git-lfs.github.com/spec/v1\noid"), "Git LFS.*git lfs pull"),
    "html": (data(b"\n<!DOCTYPE html><html>Login"), "web page.*fetch it again"),
    "packed": (lambda path: path.write_bytes(gzip.compress(b"\x89HDF\r\n\x1a\n\0\0")), "gunzip"),
    "damaged gzip": (data(b"\x1f\x8b\x08\0\0"), "damaged gzip"),
    "rds": (data(gzip.compress(b"X\n\0\0\0\3")), "an R object.*writeH5AD"),
    "zip": (zipped, "a zip archive.*Unpack"),
    "parquet": (data(b"PAR1\0\0"), "Parquet"),
    "npy": (data(b"\x93NUMPY\1\0"), "numpy array"),
    "csv": (data(b"cell,LYZ\na,1\n"), "text file.*read_csv"),
    "bytes": (data(bytes(range(256))), "unknown kind"),
    "png": (data(b"\x89PNG\r\n\x1a\n" + b"0" * 50), "unknown kind"),
    "netcdf": (data(b"CDF\1" + b"0" * 50), "unknown kind"),
    "pipe": (os.mkfifo, "a pipe or a device"),
    "loop": (lambda path: path.symlink_to(path), "cannot be read"),
    "folder": (folder_with("readme"), "folder without a zarr store"),
    "matrices": (folder_with("a.mtx", "b.mtx"), "2 matrices.*Name one, such as a.mtx"),
    "no tables": (folder_with("matrix.mtx"), "no barcodes.tsv"),
    "spatial": (folder_with("tables", "zarr.json"), "SpatialData.*tables/NAME"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_named(kind: str, tmp_path: Path) -> None:
    make, words = OTHERS[kind]
    make(tmp_path / "given")
    with (
        pytest.raises(InvalidRequest, match=f"(?s){words}") as refusal,
        open_cells(tmp_path / "given"),
    ):
        pass
    assert refusal.value.code == "not_anndata"
    assert "given" in refusal.value.message or "matrix.mtx" in refusal.value.message
    assert "\n" not in refusal.value.message


def test_a_filter_that_is_not_here(tmp_path: Path) -> None:
    """zstd, as h5py writes it with hdf5plugin; its bytes are never unpacked."""
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(COUNTS).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        attrs = dict(file["X"].attrs)
        del file["X"]
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk(COUNTS.shape)
        created.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple(COUNTS.shape)
        h5py.h5d.create(file.id, b"X", h5py.h5t.IEEE_F32LE, space, created)
        file["X"].attrs.update(attrs)
    words = r"compressed with a plugin of HDF5.*32015.*pip install hdf5plugin"
    with pytest.raises(InvalidRequest, match=words), open_cells(path):
        pass


@pytest.mark.parametrize("is_dense", [False, True], ids=["sparse", "dense"])
def test_big_endian_files_are_read(is_dense: bool, tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(COUNTS if is_dense else sparse.csr_matrix(COUNTS)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        parts = ["X"] if is_dense else ["X/data", "X/indices", "X/indptr"]
        for part in parts:
            values, attrs = file[part][()], dict(file[part].attrs)
            del file[part]
            file[part] = values.astype(values.dtype.newbyteorder(">"))
            file[part].attrs.update(attrs)
    with open_cells(path) as cells:
        np.testing.assert_array_equal(cells.rows(0, 2).toarray(), COUNTS[:2])
        assert cells.rows(0, 3).data.dtype.isnative


def test_names_that_do_not_fit_the_matrix(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(COUNTS).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        values, attrs = file["obs/_index"][:2], dict(file["obs/_index"].attrs)
        del file["obs/_index"]
        file["obs/_index"] = values
        file["obs/_index"].attrs.update(attrs)
    with pytest.raises(InvalidRequest, match="it has 3 cells and names 2"), open_cells(path):
        pass


def test_a_folder_has_a_state_too(tmp_path: Path) -> None:
    folder = write_mtx(tmp_path / "folder")
    before = state_of(folder)
    assert state_of(folder) == before
    (folder / "matrix.mtx.gz").write_bytes(b"other")
    assert state_of(folder) != before


def test_a_link_to_itself_has_a_state_like_other_files(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert state_of(tmp_path / "loop")[0] == str(tmp_path / "loop")


def test_numbers_that_cannot_be_counts_are_named(tmp_path: Path) -> None:
    anndata.AnnData(COUNTS * 1j).write_h5ad(tmp_path / "complex.h5ad")
    with open_cells(tmp_path / "complex.h5ad") as cells:  # noqa: SIM117
        with pytest.raises(InvalidRequest, match="values of type complex64"):
            cells.rows(0, 3)


@pytest.mark.parametrize("type_", ["f2", "f8", "f16"])
def test_floats_of_every_length_are_read(type_: str, tmp_path: Path) -> None:
    anndata.AnnData(COUNTS.astype(type_)).write_h5ad(tmp_path / "cells.h5ad")
    with open_cells(tmp_path / "cells.h5ad") as cells:
        found = cells.rows(0, 3)
    np.testing.assert_array_equal(found.toarray(), COUNTS)
    assert found.dtype.itemsize <= 8
