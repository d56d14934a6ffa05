"""Genes that a column of var names, in memory and in a file: the same rows by the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from scgpt_databricks.model.cells.checks import check_genes
from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.cells.h5ad import CellsFile
from scgpt_databricks.model.cells.in_memory import AnnDataCells
from scgpt_databricks.model.errors import InvalidRequest

IDS = ["ENSG1", "ENSG2", "ENSG3", "ENSG4"]
NAMES = ["CD3D", "TBCE", None, "TBCE"]
COUNTS = np.array([[1, 2, 3, 4], [0, 5, 0, 6], [7, 0, 0, 0]])


def atlas(kind: Any = sparse.csr_matrix, dtype: str = "float32") -> AnnData:
    var = pd.DataFrame({"feature_name": pd.Categorical(NAMES), "length": 9}, index=IDS)
    cells = AnnData(kind(COUNTS.astype(dtype)), var=var, obs=pd.DataFrame(index=list("abc")))
    cells.raw = cells.copy()
    cells.layers["counts"] = cells.X.copy()
    return cells


def both(cells: AnnData, folder: Path, place: CountsPlace) -> list[tuple[list[str], np.ndarray]]:
    in_memory = AnnDataCells(cells, place)
    cells.write_h5ad(folder / "cells.h5ad")
    with CellsFile(folder / "cells.h5ad", place) as in_file:
        sources = (in_memory, in_file)
        return [(each.genes, each.rows(0, 3).toarray()) for each in sources]


@pytest.mark.parametrize("where", [{}, {"raw": True}, {"layer": "counts"}], ids=str)
@pytest.mark.parametrize("kind", [sparse.csr_matrix, np.array], ids=["csr", "dense"])
def test_a_column_names_the_genes(tmp_path: Path, where: dict[str, Any], kind: Any) -> None:
    place = CountsPlace(**where, gene_names="feature_name")
    for genes, rows in both(atlas(kind), tmp_path, place):
        assert genes == ["CD3D", "TBCE", "ENSG3", "TBCE"], "without a name, the index names it"
        np.testing.assert_array_equal(rows, COUNTS)


@pytest.mark.parametrize("where", [{}, {"raw": True}, {"layer": "counts"}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_duplicates_are_summed_when_asked(
    tmp_path: Path, where: dict[str, Any], dtype: str
) -> None:
    place = CountsPlace(**where, gene_names="feature_name", sum_duplicates=True)
    for genes, rows in both(atlas(dtype=dtype), tmp_path, place):
        assert genes == ["CD3D", "TBCE", "ENSG3"]
        np.testing.assert_array_equal(rows, [[1, 6, 3], [0, 11, 0], [7, 0, 0]])


def test_duplicates_of_the_index_are_summed_too(tmp_path: Path) -> None:
    cells = AnnData(COUNTS.astype(np.float32), var=pd.DataFrame(index=["A", "B", "A", "B"]))
    for genes, rows in both(cells, tmp_path, CountsPlace(sum_duplicates=True)):
        assert genes == ["A", "B"]
        np.testing.assert_array_equal(rows, [[4, 6], [0, 11], [7, 0]])


def test_duplicates_are_refused_with_the_way_out() -> None:
    genes = AnnDataCells(atlas(), CountsPlace(gene_names="feature_name")).genes
    with pytest.raises(InvalidRequest, match=r"'TBCE' for one.*--sum-duplicates"):
        check_genes(genes, 4)


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for read in (
        lambda cells: AnnDataCells(cells, CountsPlace(gene_names="symbol")),
        lambda cells: both(cells, tmp_path, CountsPlace(gene_names="symbol")),
    ):
        with pytest.raises(InvalidRequest, match="'symbol'; its columns: feature_name, length"):
            read(atlas())
    atlas().write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InvalidRequest, match="'symbol'; its columns: feature_name, length"):
        CellsFile(tmp_path / "cells.h5ad", CountsPlace(gene_names="symbol"))
