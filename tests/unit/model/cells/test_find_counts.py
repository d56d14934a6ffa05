"""The matrix with the counts is found by one rule, in memory and in files; so are gene names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.cells.find_counts import naming_the_counts
from scgpt_databricks.model.cells.h5ad import CellsFile
from scgpt_databricks.model.cells.in_memory import AnnDataCells
from scgpt_databricks.model.errors import InvalidRequest

COUNTS = np.array([[1, 0, 3], [0, 5, 0], [7, 0, 2]], np.float32)
LOGS = np.log1p(COUNTS)
SCALED = (LOGS - LOGS.mean(0)) / LOGS.std(0)
KINDS = [np.asarray, sparse.csr_matrix, sparse.csc_matrix]

Used = Callable[[anndata.AnnData, CountsPlace], Any]


def in_memory(adata: anndata.AnnData, place: CountsPlace, folder: Path) -> AnnDataCells:
    return AnnDataCells(adata, place)


def in_a_view(adata: anndata.AnnData, place: CountsPlace, folder: Path) -> AnnDataCells:
    return AnnDataCells(adata[[0, 1, 2]], place)


def backed(adata: anndata.AnnData, place: CountsPlace, folder: Path) -> AnnDataCells:
    adata.write_h5ad(folder / "backed.h5ad")
    return AnnDataCells(anndata.read_h5ad(folder / "backed.h5ad", backed="r"), place)


def in_a_file(adata: anndata.AnnData, place: CountsPlace, folder: Path) -> CellsFile:
    adata.write_h5ad(folder / "cells.h5ad")
    return CellsFile(folder / "cells.h5ad", place, by_columns=True)


def data(x: Any, raw: Any = None, kind: Any = np.asarray, **layers: Any) -> anndata.AnnData:
    adata = anndata.AnnData(kind(x if raw is None else raw))
    adata.var_names = ["CD3D", "CD4", "NKG7"]
    if raw is not None:
        adata.raw = adata.copy()
        adata.X = kind(x)
    for name, values in layers.items():
        adata.layers[name] = kind(values)
    return adata


@pytest.mark.parametrize("read", [in_memory, in_a_view, backed, in_a_file])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda kind: data(COUNTS, kind=kind), "X"),
        (lambda kind: data(LOGS, kind=kind, counts=COUNTS), "layers/counts"),
        (lambda kind: data(LOGS, COUNTS, kind), "raw/X"),
        (lambda kind: data(LOGS, COUNTS, kind, counts=COUNTS), "layers/counts"),
        (lambda kind: data(LOGS, LOGS, kind, counts=LOGS), "X"),
        (lambda kind: data(SCALED, LOGS, kind), "raw/X"),
        (lambda kind: data(SCALED, kind=kind, counts=LOGS), "layers/counts"),
        (lambda kind: data(COUNTS, LOGS, kind, counts=SCALED), "X"),
        (lambda kind: data(SCALED, SCALED, kind), "X"),
        (lambda kind: data(LOGS, kind=kind, spliced=COUNTS), "X"),
    ],
)
def test_the_rule(read: Any, kind: Any, make: Any, path: str, tmp_path: Path) -> None:
    if kind is sparse.csc_matrix and read in (backed,):
        pytest.skip("anndata reads no rows of a backed CSC matrix")
    assert read(make(kind), CountsPlace.asked(), tmp_path).path_used == path


def test_a_matrix_that_is_named_is_used() -> None:
    adata = data(LOGS, COUNTS, counts=COUNTS)
    for asked, path in (
        ({"layer": "X"}, "X"),
        ({"raw": True}, "raw/X"),
        ({"layer": "counts"}, "layers/counts"),
    ):
        assert AnnDataCells(adata, CountsPlace.asked(**asked)).path_used == path


@pytest.mark.parametrize("read", [in_memory, in_a_file])
@pytest.mark.parametrize(
    ("adata", "asked", "said"),
    [
        (data(SCALED, COUNTS), {"layer": "X"}, r"Here raw/X holds counts: raw=True \(--raw\)"),
        (data(SCALED, SCALED, spliced=COUNTS), {}, "Here layers/spliced holds counts: layer="),
        (data(COUNTS, wrong=SCALED), {"layer": "wrong"}, "Here X holds counts: layer='X'"),
        (data(SCALED, logs=LOGS), {}, "layers/logs holds values that are not negative"),
    ],
)
def test_a_refusal_names_the_matrix_to_use(
    read: Any, adata: Any, asked: Any, said: str, tmp_path: Path
) -> None:
    cells = read(adata, CountsPlace.asked(**asked), tmp_path)
    with pytest.raises(InvalidRequest, match=said) as refusal, naming_the_counts(cells):
        raise InvalidRequest("negative_values", "they go down to -1.")
    assert refusal.value.code == "negative_values"


def test_a_refusal_stays_where_there_is_nothing_else() -> None:
    with pytest.raises(InvalidRequest) as refusal, naming_the_counts(AnnDataCells(data(SCALED))):
        raise InvalidRequest("negative_values", "they go down to -1.")
    assert refusal.value.message == "they go down to -1."


ENSEMBL = [f"ENSG{i:011}" for i in range(3)]


@pytest.mark.parametrize("read", [in_memory, in_a_file])
@pytest.mark.parametrize(
    ("index", "columns", "column", "genes"),
    [
        (["CD3D", "CD4", "NKG7"], {"feature_name": ["A", "B", "C"]}, "index", None),
        (ENSEMBL, {}, "index", None),
        (
            ENSEMBL,
            {"feature_name": ["A", "B", "C"], "gene_name": list("xyz")},
            "feature_name",
            "ABC",
        ),
        (ENSEMBL, {"gene_name": list("xyz"), "gene_symbols": list("ABC")}, "gene_symbols", "ABC"),
        (["0", "1", "2"], {"gene_name": list("xyz")}, "gene_name", "xyz"),
        ([f"{name}.7" for name in ENSEMBL], {"feature_name": list("ABC")}, "feature_name", "ABC"),
        (ENSEMBL, {"other": list("ABC")}, "index", None),
    ],
)
def test_genes_are_named_by_the_rule(
    read: Any, index: list[str], columns: Any, column: str, genes: Any, tmp_path: Path
) -> None:
    adata = anndata.AnnData(COUNTS, var=pd.DataFrame(columns, index=index))
    found = read(adata, CountsPlace.asked(), tmp_path).gene_columns
    assert (found.column, found.names) == (column, list(genes or index))
    named = read(adata, CountsPlace.asked(gene_names="index"), tmp_path).gene_columns
    assert named.names == index


@pytest.mark.parametrize("read", [in_memory, in_a_file])
def test_a_name_that_occurs_again_gives_way_to_the_id(read: Any, tmp_path: Path) -> None:
    var = pd.DataFrame({"feature_name": ["TBCE", "CD4", "TBCE"]}, index=ENSEMBL)
    found = read(anndata.AnnData(COUNTS, var=var), CountsPlace.asked(), tmp_path).gene_columns
    assert found.names == ["TBCE", "CD4", ENSEMBL[2]]
    with pytest.warns(UserWarning, match="1 genes have a name in feature_name that another one"):
        found.warn()
    summed = read(
        anndata.AnnData(COUNTS, var=var), CountsPlace.asked(sum_duplicates=True), tmp_path
    )
    assert (summed.genes, summed.gene_columns.rule) == (["TBCE", "CD4"], "summed")
    summed.gene_columns.warn()
