"""AnnData files as they are read for ``input_data_path``: only what is asked for, and bounded."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.h5ad import read_cells
from scgpt_databricks.model.cells.in_memory import cells_of_anndata
from scgpt_databricks.model.errors import InvalidRequest, LimitExceeded
from tests.unit.model.reference import GENES, make_counts

COUNTS = sparse.csr_matrix(make_counts(5, 12, seed=6))
SOME = GENES[:12]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    written = anndata.AnnData(COUNTS)
    written.var_names, written.obs_names = SOME, [f"c{i}" for i in range(5)]
    written.obs["type"] = list("BTBTB")
    written.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path


def test_a_matrix_larger_than_may_be_read(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = COUNTS.data.nbytes + COUNTS.indices.nbytes + COUNTS.indptr.nbytes
    monkeypatch.setattr("scgpt_databricks.model.cells.h5ad.MAX_BODY_BYTES", stored)
    read_cells(volume / "cells.h5ad")
    monkeypatch.setattr("scgpt_databricks.model.cells.h5ad.MAX_BODY_BYTES", stored - 1)
    with pytest.raises(LimitExceeded, match="Write the cells into several") as caught:
        read_cells(volume / "cells.h5ad")
    assert caught.value.code == "file_too_large"


def test_of_a_file_only_what_is_asked_for_is_read(volume: Path) -> None:
    """A layer of zeros is small in a file and large in memory."""
    size = 64 << 20
    with h5py.File(volume / "cells.h5ad", "a") as file:
        empty = {"data": np.zeros(size, np.uint8), "compression": "gzip"}
        file["obs"].create_dataset("large", **empty)
        file["uns"].create_dataset("large", **empty)
    assert (volume / "cells.h5ad").stat().st_size < 1 << 20
    tracemalloc.start()
    cells = read_cells(volume / "cells.h5ad", {"type"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4
    assert (cells.ids, cells.obs) == ([f"c{i}" for i in range(5)], {"type": list("BTBTB")})
    with pytest.raises(InvalidRequest, match="large has 67,108,864 entries"):
        read_cells(volume / "cells.h5ad", {"large"})


@pytest.mark.parametrize(
    "values",
    [COUNTS, COUNTS.tocsc(), COUNTS.toarray(), COUNTS.astype(np.int64)],
    ids=["csr", "csc", "dense", "integers"],
)
def test_a_file_is_read_like_the_anndata_in_it(volume: Path, values: Any) -> None:
    written = anndata.AnnData(values)
    written.var_names, written.obs_names = SOME, [f"c{i}" for i in range(5)]
    written.obs["type"] = pd.Categorical(["B", None, "B", "T", "T"])
    written.obs["cluster"] = pd.array([1, None, 2, 1, 2], dtype="Int64")
    written.obs["count"] = [1.0, np.nan, 2.5, 3, 4]
    written.obs["kept"] = [True, False] * 2 + [True]
    written.write_h5ad(volume / "all.h5ad")
    read = read_cells(volume / "all.h5ad", list(written.obs))
    wanted = cells_of_anndata(anndata.read_h5ad(volume / "all.h5ad"))
    assert (read.genes, read.ids, read.obs) == (wanted.genes, wanted.ids, wanted.obs)
    assert (read.counts != wanted.counts).nnz == 0
    backed = cells_of_anndata(anndata.read_h5ad(volume / "all.h5ad", backed="r"))
    assert (backed.counts != wanted.counts).nnz == 0


@pytest.mark.parametrize(
    ("part", "values"), [("indices", [-1, 500]), ("indptr", [9999, 3]), ("indptr", [-5, 3])]
)
def test_a_file_whose_indices_lead_nowhere(volume: Path, part: str, values: list[int]) -> None:
    with h5py.File(volume / "cells.h5ad", "a") as file:
        file["X"][part][1:3] = values
    with pytest.raises(InvalidRequest) as caught:
        read_cells(volume / "cells.h5ad")
    assert caught.value.code == "invalid_matrix"
