"""The reader of the edge gives the rows of the one reader, for every form that anndata writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.cells.h5ad import CellsFile
from scgpt_databricks.model.edge.cells_file import CellsAtEdge, read_cells_at_edge
from scgpt_databricks.model.edge.runner import embed_file, write_rows
from scgpt_databricks.model.errors import InvalidRequest

COUNTS = sparse.random(7, 5, density=0.5, random_state=0, format="csr", dtype=np.float32)
GENES = [f"G{i}" for i in range(5)]


def data_set(matrix: Any = COUNTS, **parts: Any) -> anndata.AnnData:
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(7)])
    var = pd.DataFrame({"symbol": pd.Categorical(["a", "b", None, "d", "e"])}, index=GENES)
    return anndata.AnnData(matrix, obs=obs, var=var, **parts)


def written(adata: anndata.AnnData, folder: Path) -> Path:
    adata.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def assert_same(path: Path, **place: Any) -> None:
    with CellsFile(path, CountsPlace(**place), by_columns=True) as ours:
        there = read_cells_at_edge(path, **place)
        assert (there.genes, there.names) == (ours.genes, ours.names(0, 7))
        for start, stop in ((0, 7), (2, 5), (5, 9)):
            wanted, found = ours.rows(start, stop), there.rows(start, stop)
            assert found.shape == wanted.shape
            again = sparse.csr_matrix((found.data, found.indices, found.indptr), found.shape)
            np.testing.assert_array_equal(again.toarray(), wanted.toarray())
            assert again.has_canonical_format


FORMS: dict[str, Callable[[], tuple[anndata.AnnData, dict[str, Any]]]] = {
    "by rows": lambda: (data_set(), {}),
    "by columns": lambda: (data_set(COUNTS.tocsc()), {}),
    "dense": lambda: (data_set(COUNTS.toarray()), {}),
    "integers": lambda: (data_set((COUNTS > 0).astype(np.int32)), {}),
    "a layer": lambda: (data_set(layers={"counts": COUNTS * 2}), {"layer": "counts"}),
    "raw": lambda: (_with_raw(), {"raw": True}),
    "names in a column": lambda: (data_set(), {"gene_names": "symbol"}),
}


def _with_raw() -> anndata.AnnData:
    adata = data_set(COUNTS * 3)
    adata.raw = adata
    return adata[:, :2].copy()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    adata, place = FORMS[form]()
    assert_same(written(adata, tmp_path), **place)


def test_nullable_names_are_read(tmp_path: Path) -> None:
    with anndata.settings.override(allow_write_nullable_strings=True):
        adata = data_set()
        adata.var_names = pd.Index(GENES, dtype="string")
        assert_same(written(adata, tmp_path))


def test_what_is_stored_twice_is_added_up(tmp_path: Path) -> None:
    path = written(data_set(), tmp_path)
    with h5py.File(path, "r+") as file:
        data, indices = (np.asarray(file["X"][name]) for name in ("data", "indices"))
        for name in ("data", "indices", "indptr"):
            del file["X"][name]
        file["X"]["data"] = np.repeat(data, 2)
        file["X"]["indices"] = np.repeat(indices, 2)
        file["X"]["indptr"] = COUNTS.indptr * 2
    assert_same(path)


def test_a_table_is_read(tmp_path: Path) -> None:
    dense = pd.DataFrame(COUNTS.toarray(), index=[f"c{i}" for i in range(7)], columns=GENES)
    dense.to_csv(tmp_path / "cells.csv")
    dense.to_csv(tmp_path / "cells.tsv", sep="\t")
    for name in ("cells.csv", "cells.tsv"):
        there = read_cells_at_edge(tmp_path / name)
        found = there.rows(0, 7)
        assert (there.genes, there.names) == (GENES, list(dense.index))
        again = sparse.csr_matrix((found.data, found.indices, found.indptr), found.shape)
        np.testing.assert_allclose(again.toarray(), COUNTS.toarray(), rtol=1e-6)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({"layer": "counts"}, "no_matrix"),
        ({"raw": True}, "no_matrix"),
        ({"gene_names": "symbols"}, "no_gene_names"),
    ],
)
def test_what_is_not_there_is_named(place: dict[str, Any], code: str, tmp_path: Path) -> None:
    path = written(data_set(), tmp_path)
    with pytest.raises(InvalidRequest) as refused:
        read_cells_at_edge(path, **place)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cells.csv", "cell,G0,G1\nc0,1\n"),
        ("cells.csv", "cell,G0,G1\nc0,1,many\n"),
        ("cells.csv", "cell,G0,G1\n"),
        ("cells.csv", ""),
        ("cells.h5ad", "no HDF5"),
        ("cells.loom", ""),
    ],
)
def test_a_wrong_file_is_one_sentence(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidRequest, match=f"{name} cannot be read"):
        read_cells_at_edge(tmp_path / name)


def test_indices_outside_the_matrix_are_refused(tmp_path: Path) -> None:
    path = written(data_set(), tmp_path)
    with h5py.File(path, "r+") as file:
        file["X"]["indices"][0] = 5
    with pytest.raises(InvalidRequest, match="outside the matrix"):
        read_cells_at_edge(path).rows(0, 7)


def test_names_with_commas_stay_one_column(tmp_path: Path) -> None:
    cells = CellsAtEdge(["G0"], ["a,b", 'c"d'], (np.ones((2, 1)),))
    rows = np.array([[0.5, 1.5], [2.5, 3.5]], np.float32)
    write_rows(tmp_path / "in.csv", cells, rows, tmp_path / "out.csv")
    read = pd.read_csv(tmp_path / "out.csv", index_col=0)
    assert list(read.index) == cells.names
    np.testing.assert_array_equal(read.to_numpy(), rows)


def test_imputed_values_are_refused_before_a_cell_is_embedded() -> None:
    values = np.random.default_rng(0).random((5, 300)) + 0.1
    cells = CellsAtEdge([f"G{i}" for i in range(300)], list("abcde"), (values,))
    model = cast(Any, None)  # it is not asked
    with pytest.raises(InvalidRequest) as refused:
        embed_file(model, cells)
    assert refused.value.code == "imputed_values"
