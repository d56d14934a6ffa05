"""The guide's steps: off unless asked for, named when done, refused where they cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.contract import Options
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.params import ScgptOptions
from scgpt_databricks.model.serve.preprocess import preprocess

COUNTS = np.array([[5, 0, 1, 0], [2, 0, 0, 0], [9, 1, 1, 0]], np.float32)
CELLS = Cells(
    sparse.csr_matrix(COUNTS), ["A", "B", "C", "D"], ["x", "y", "z"], {"batch": ["1", "2", "1"]}
)


def test_nothing_is_done_unless_asked_for() -> None:
    assert preprocess(CELLS, Options()) == (CELLS, [])


def test_values_are_left_alone_because_bins_are_ranks() -> None:
    cells, steps = preprocess(CELLS, ScgptOptions(normalize_total=100.0, log1p=True, binning=51))
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


# Run apart: where the compiled code breaks, the process goes down with it.
_DRAWS = """
import json
import numpy as np
from scipy import sparse
from scgpt_databricks.model.wire.codec import Cells
from scgpt_databricks.model.contract import Options
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.params import ScgptOptions
from scgpt_databricks.model.serve.preprocess import preprocess

rng = np.random.default_rng(0)
rounding = np.full((9000, 30), 2.0**24)
rounding[0] -= 1
draws = {
    "one cell": np.array([[1, 2, 3, 4]]),
    "empty": np.zeros((60, 30)),
    "constant": np.full((60, 30), 3.0),
    "same cells": np.tile(rng.poisson(2, (1, 30)), (60, 1)),
    "three genes": rng.poisson(2, (60, 3)),
    "rounding": rounding,
    "batch of one cell": rng.poisson(2, (60, 30)),
    "least": rng.poisson(2, (60, 15)),
    "enough": rng.poisson(rng.gamma(1, 2, 30), (60, 30)),
}
said = {}
for name, counts in draws.items():
    obs = {"batch": ["a"] * 59 + ["b"]} if name.startswith("batch") else {}
    genes = [f"G{i}" for i in range(counts.shape[1])]
    cells = Cells(sparse.csr_matrix(counts.astype(np.float32)), genes, None, obs)
    try:
        said[name] = preprocess(cells, Options(subset_hvg=2, data_is_raw=True))[1][0]
    except InvalidRequest as error:
        said[name] = error.tagged()
print(json.dumps(said))
"""


def test_what_brings_the_curve_fit_of_seurat_v3_down_is_refused_before_it() -> None:
    done = subprocess.run([sys.executable, "-c", _DRAWS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    said = json.loads(done.stdout)
    assert said.pop("enough") == "subset_hvg=2 (seurat_v3): 2 of 30 genes kept"
    assert said.pop("least").startswith(("subset_hvg=2", "[hvg_failed]"))
    assert "3 genes vary among them (60 cells)" in said["three genes"]
    assert "0 genes vary among those of batch 'b' (1 cells)" in said["batch of one cell"]
    for name, refusal in said.items():
        assert refusal.startswith("[hvg_failed]"), name
        assert "genes vary among" in refusal, name


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_a_refusal_of_the_other_flavours_is_one_sentence(flavor: str) -> None:
    one = Cells(sparse.csr_matrix((1, 4), dtype=np.float32), CELLS.genes)
    with pytest.raises(InvalidRequest, match="too few cells or genes, or values too") as caught:
        preprocess(one, Options(subset_hvg=2, hvg_flavor=flavor))
    assert caught.value.code == "hvg_failed"
    assert "\n" not in caught.value.message
