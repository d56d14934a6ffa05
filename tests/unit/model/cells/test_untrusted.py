"""Files that anybody may have written: memory is bounded before it is taken, every end is told."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.h5ad import read_cells
from scgpt_databricks.model.errors import InvalidRequest, LimitExceeded
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(30, 12, seed=6))
MANY = 200_000
TEXT = h5py.string_dtype()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = anndata.AnnData(COUNTS)
    written.var_names, written.obs_names = GENES[:12], [f"c{i}" for i in range(30)]
    written.obs["type"] = pd.Categorical(["B", "T", None] * 10)
    written.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def replaced(group: h5py.Group, name: str, **dataset: Any) -> None:
    attributes = dict(group[name].attrs)
    del group[name]
    group.create_dataset(name, **dataset).attrs.update(attributes)


def unwritten_bytes(file: h5py.File) -> None:
    replaced(file["var"], "_index", shape=(MANY,), dtype="S5000", chunks=(1,))


def unwritten_text(file: h5py.File) -> None:
    replaced(file["var"], "_index", shape=(MANY,), dtype=TEXT, fillvalue="x" * 5000, chunks=(1000,))


def one_long_category(file: h5py.File) -> None:
    categories = {"shape": (MANY,), "dtype": TEXT, "fillvalue": "x" * 5000, "chunks": (1000,)}
    replaced(file["obs/type"], "categories", **categories)


def one_large_chunk(file: h5py.File) -> None:
    large = {"shape": (30,), "maxshape": (None,), "chunks": (1 << 29,)}
    replaced(file["obs"], "_index", dtype="S2", compression="gzip", **large)


def large_chunk_of_values(file: h5py.File) -> None:
    large = {"shape": file["X/data"].shape, "maxshape": (None,), "chunks": (1 << 29,)}
    replaced(file["X"], "data", dtype="f4", compression="gzip", **large)


@pytest.mark.parametrize(
    "change",
    [unwritten_bytes, unwritten_text, one_long_category, one_large_chunk, large_chunk_of_values],
)
def test_small_files_that_claim_much_are_refused(
    path: Path, change: Callable[[h5py.File], None]
) -> None:
    with h5py.File(path, "a") as file:
        change(file)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(LimitExceeded) as caught:
        read_cells(path, {"type"})
    assert caught.value.code == "file_too_large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 << 20


def test_long_names_within_the_bounds_are_read(path: Path) -> None:
    names = [f"{'n' * 2000}{i}" for i in range(30)]
    with h5py.File(path, "a") as file:
        replaced(file["obs"], "_index", data=names, dtype=TEXT)
    assert read_cells(path).ids == names


def test_groups_that_lie_deep_or_hold_themselves_take_no_time(path: Path) -> None:
    with h5py.File(path, "a", libver="latest") as file:
        file["uns/itself"] = file["uns"]
        file["uns/round"] = h5py.SoftLink("/uns/round")
        group = file["uns"]
        for _ in range(3000):
            group = group.create_group("a")
    assert read_cells(path).genes == GENES[:12]
    with h5py.File(path, "a") as file:
        file["uns/outside"] = h5py.ExternalLink("other.h5ad", "X")
    with pytest.raises(InvalidRequest, match="holds a link to another file"):
        read_cells(path)


@pytest.mark.parametrize("table", ["X", "obs", "var", "obs/_index", "X/data"])
def test_a_link_that_goes_round_is_told(path: Path, table: str) -> None:
    with h5py.File(path, "a") as file:
        del file[table]
        file[table] = h5py.SoftLink(f"/{table}")
    with pytest.raises(InvalidRequest) as caught:
        read_cells(path)
    assert caught.value.code == "invalid_file"


def encoding_of_tomorrow(file: h5py.File) -> None:
    file["obs/type"].attrs["encoding-version"] = "9.9.9"


def no_text(file: h5py.File) -> None:
    replaced(file["var"], "_index", shape=(12,), dtype=h5py.vlen_dtype(np.int64))


def no_number(file: h5py.File) -> None:
    replaced(file["X"], "data", data=[b"x"] * COUNTS.nnz)


def odd_shape(file: h5py.File) -> None:
    file["X"].attrs["shape"] = np.array([2**63 - 1, 2**63 - 1])


def nested(file: h5py.File) -> None:
    del file["obs/type/codes"]
    file["obs/type"].create_group("codes")


@pytest.mark.parametrize("change", [encoding_of_tomorrow, no_text, no_number, odd_shape, nested])
def test_odd_files_end_in_one_sentence(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(InvalidRequest) as caught:
        read_cells(path, {"type"})
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("seed", range(60))
def test_files_cut_anywhere_end_in_one_sentence(path: Path, seed: int) -> None:
    whole, draw = path.read_bytes(), random.Random(seed)
    path.write_bytes(whole[: draw.randrange(len(whole))])
    with pytest.raises(InvalidRequest) as caught:
        read_cells(path, {"type"})
    assert "\n" not in caught.value.message
