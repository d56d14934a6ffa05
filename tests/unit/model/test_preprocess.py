"""The guide's steps: off unless asked for, named when done, refused where they cannot be done."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import sparse

from model.codec import Cells
from model.contract import Options
from model.errors import InvalidRequest
from model.preprocess import preprocess

COUNTS = np.array([[5, 0, 1, 0], [2, 0, 0, 0], [9, 1, 1, 0]], np.float32)
CELLS = Cells(
    sparse.csr_matrix(COUNTS), ["A", "B", "C", "D"], ["x", "y", "z"], {"batch": ["1", "2", "1"]}
)


def test_nothing_is_done_unless_asked_for() -> None:
    assert preprocess(CELLS, Options()) == (CELLS, [])


def test_values_are_left_alone_because_bins_are_ranks() -> None:
    cells, steps = preprocess(CELLS, Options(normalize_total=100.0, log1p=True, binning=51))
    assert (cells, steps) == (CELLS, [])


def test_genes_by_counts() -> None:
    cells, steps = preprocess(CELLS, Options(filter_gene_by_counts=2))
    assert cells.genes == ["A", "C"]
    np.testing.assert_array_equal(cells.counts.toarray(), COUNTS[:, [0, 2]])
    assert steps == ["filter_gene_by_counts=2: 2 of 4 genes kept"]


def test_cells_by_counts() -> None:
    cells, steps = preprocess(CELLS, Options(min_counts_per_cell=6.0))
    assert (cells.ids, cells.obs) == (["x", "z"], {"batch": ["1", "1"]})
    assert steps == ["min_counts_per_cell=6: 2 of 3 cells kept"]


def test_the_guides_boolean_drops_empty_cells() -> None:
    counts = sparse.csr_matrix(np.vstack([COUNTS, np.zeros((1, 4), np.float32)]))
    cells, _ = preprocess(Cells(counts, CELLS.genes), Options(filter_cell_by_counts=True))
    assert cells.ids == ["0", "1", "2"]


def test_need_preprocess_false_takes_the_data_as_they_are() -> None:
    options = Options(need_preprocess=False, filter_gene_by_counts=2, subset_hvg=1)
    assert preprocess(CELLS, options) == (CELLS, [])


def test_as_many_variable_genes_as_there_are_keeps_all_and_says_so() -> None:
    cells, steps = preprocess(CELLS, Options(subset_hvg=4))
    assert cells == CELLS
    assert steps == ["subset_hvg=4 (cell_ranger): all 4 genes kept, there are no more"]


def test_variable_genes_are_found_where_they_can_be() -> None:
    rng = np.random.default_rng(0)
    counts = rng.gamma(0.5, 1.0, (60, 300)) * (rng.random((60, 300)) < 0.4)
    cells = Cells(sparse.csr_matrix(counts.astype(np.float32)), [f"G{i}" for i in range(300)])
    subset, steps = preprocess(cells, Options(subset_hvg=50, hvg_flavor="seurat"))
    n_kept = len(subset.genes)  # scanpy keeps ties at the threshold
    assert 50 <= n_kept < 60
    assert steps == [f"subset_hvg=50 (seurat): {n_kept} of 300 genes kept"]


def test_variable_genes_that_cannot_be_found_are_refused_with_the_reason() -> None:
    with pytest.raises(InvalidRequest) as caught:
        preprocess(CELLS, Options(subset_hvg=2))
    assert caught.value.code == "hvg_failed"


def test_an_image_without_scanpy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanpy", None)
    with pytest.raises(InvalidRequest) as caught:
        preprocess(CELLS, Options(subset_hvg=2))
    assert caught.value.code == "hvg_not_available"


def test_an_image_without_what_a_flavour_needs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skmisc", None)
    monkeypatch.setitem(sys.modules, "skmisc.loess", None)
    with pytest.raises(InvalidRequest, match="seurat_v3 needs scikit-misc") as caught:
        preprocess(CELLS, Options(subset_hvg=2, data_is_raw=True))
    assert caught.value.code == "hvg_not_available"


@pytest.mark.parametrize(
    "options", [Options(filter_gene_by_counts=100), Options(min_counts_per_cell=100.0)]
)
def test_filters_that_leave_nothing_are_refused(options: Options) -> None:
    with pytest.raises(InvalidRequest) as caught:
        preprocess(CELLS, options)
    assert caught.value.code == "nothing_left"


@pytest.mark.parametrize(
    ("options", "flavor"),
    [
        (Options(), "cell_ranger"),
        (Options(data_is_raw=True), "seurat_v3"),
        (Options(data_is_raw=True, hvg_flavor="seurat"), "seurat"),
    ],
)
def test_flavour_follows_raw_data_unless_sent(options: Options, flavor: str) -> None:
    assert options.flavor() == flavor
