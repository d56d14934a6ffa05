"""Genes are chosen once for a data set, and the same list serves for others."""

from __future__ import annotations

import sys
from typing import Any

import anndata
import numpy as np
import pytest

from scgpt_databricks.model.cells.gene_choice import ChosenCells, GeneChoice, genes_digest
from scgpt_databricks.model.cells.in_memory import AnnDataCells
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells


def counts(n_cells: int = 80, n_genes: int = 60) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    means = rng.gamma(1, 2, n_genes) + 0.1
    means[:10] *= rng.gamma(0.5, 4, (n_cells, 10)).mean(0)
    found = anndata.AnnData(rng.negative_binomial(2, 2 / (2 + means), (n_cells, n_genes)) * 1.0)
    found.var_names = [f"G{i}" for i in range(n_genes)]
    return found


def chosen(adata: anndata.AnnData, **how: Any) -> Any:
    batches = list(adata.obs[how["batch_key"]]) if "batch_key" in how else None
    return GeneChoice(**how).of(AnnDataCells(adata), batches)


@pytest.mark.parametrize("flavor", [None, "seurat_v3", "cell_ranger", "seurat"])
def test_as_many_as_asked_for_by_each_flavour(flavor: str | None) -> None:
    found = chosen(counts(), n_top_genes=20, hvg_flavor=flavor)
    assert len(found.genes) == 20
    assert found.rows(3, 9).shape == (6, 20)
    expected = counts()[3:9, found.genes].X
    np.testing.assert_array_equal(found.rows(3, 9).toarray(), expected)


def test_values_that_are_no_counts_get_another_flavour() -> None:
    adata = pbmc_cells()[:200].copy()
    adata.X = adata.X.log1p()
    assert len(chosen(adata, n_top_genes=50).genes) == 50
    with pytest.raises(InvalidRequest, match="'seurat_v3', which needs counts"):
        chosen(adata, n_top_genes=50, hvg_flavor="seurat_v3")


def test_batches_have_a_say() -> None:
    adata = counts(200)
    adata.obs["donor"] = ["a", "b"] * 100
    adata.X[1::2, 30:60] *= 40.0  # differs between batches, not within them
    alone = {*chosen(adata, n_top_genes=20).genes}
    within = {*chosen(adata, n_top_genes=20, batch_key="donor").genes}
    assert alone != within


def test_a_list_serves_for_other_cells() -> None:
    reference = chosen(counts(), n_top_genes=20)
    query = counts()[:, ::-1].copy()
    found = chosen(query, genes=reference.genes)
    assert {*found.genes} == {*reference.genes}
    with pytest.warns(UserWarning, match=r"1 of 20 genes are not in this data set \(first: G"):
        less = chosen(query[:, query.var_names != reference.genes[0]], genes=reference.genes)
    assert (len(less.genes), less.missing) == (19, (reference.genes[0],))


def test_all_genes_where_there_are_no_more() -> None:
    cells = AnnDataCells(counts())
    for choice in (GeneChoice(), GeneChoice(n_top_genes=60), GeneChoice(n_top_genes=6000)):
        assert choice.of(cells) is cells
    assert isinstance(GeneChoice(n_top_genes=59).of(cells), ChosenCells)


def test_the_hash_of_a_list_is_of_its_order() -> None:
    assert genes_digest(["A", "B"]) != genes_digest(["B", "A"])
    assert genes_digest(["A", "B"]) != genes_digest(["AB"])
    assert genes_digest(["A"]) == (
        "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"
    )


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"n_top_genes": -1}, "n_top_genes is -1"),
        ({"n_top_genes": 1.5}, "n_top_genes is 1.5"),
        ({"n_top_genes": True}, "n_top_genes is True"),
        ({"n_top_genes": 9, "hvg_flavor": "loess"}, "hvg_flavor is 'loess'; it must be one of"),
        ({"hvg_flavor": "seurat"}, "hvg_flavor is given without n_top_genes"),
        ({"batch_key": "donor"}, "batch_key is given without n_top_genes"),
        ({"genes": "CD3D"}, "genes is 'CD3D'; it must be a list of names"),
        ({"genes": []}, "it must be a list of names"),
        ({"genes": (name for name in ["G1"])}, "it must be a list of names"),
        ({"genes": ["G1", "G1"]}, "each once; some occur again"),
        ({"genes": ["G1", 7]}, "7 is none"),
        ({"genes": ["G1"], "n_top_genes": 5}, "give one of them"),
    ],
)
def test_choices_that_are_none(how: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        GeneChoice(**how)
    assert said in refusal.value.message


def test_genes_none_of_which_is_there() -> None:
    with pytest.raises(InvalidRequest, match=r"none of the 2 genes \(first: CD3D\)"):
        chosen(counts(), genes=["CD3D", "CD4"])


@pytest.mark.parametrize("package", ["scanpy", "skmisc"])
def test_a_package_that_is_not_there_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.loess", None)
    with pytest.raises(InvalidRequest, match="pip install sc") as refusal:
        chosen(counts(), n_top_genes=20)
    assert refusal.value.code == "hvg_not_available"
