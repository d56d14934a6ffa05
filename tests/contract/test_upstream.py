"""Unmodified upstream scGPT reads the same checkpoints and gives the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.checkpoints import whole_human
from scgpt_databricks.model.evidence.upstream.pipe import PYTHON, Upstream
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.tokenizer import TIES, Ties, _draws, _edges_around, tokenize

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="upstream scGPT is not installed here: make reference"
)

TOLERANCE = 1e-6  # largest difference of any number of an L2-normalised embedding


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def pbmc() -> tuple[sparse.csr_matrix, list[str]]:
    cells = demo.pbmc_cells()
    return sparse.csr_matrix(cells.X), [str(name) for name in cells.var_names]


def difference(upstream: Upstream, checkpoint: Path, cells: sparse.csr_matrix, genes: list[str],
               ties: Ties, max_length: int | None = None) -> float:  # fmt: skip
    """Largest difference between upstream and us on the same tokens; cells must differ by more."""
    embedder = Embedder.load(checkpoint, device="cpu", precision="float32")
    ours = embedder.embed_cells(cells, genes, ties=ties, max_length=max_length).embeddings
    tokens = embedder.tokenize(cells, genes, ties=ties, max_length=max_length)
    upstream.load(checkpoint)
    pad_id = embedder.vocab.tokens.index("<pad>")
    theirs = upstream.encode(tokens, pad_id, embedder.config.pad_value)
    nearest = np.abs(ours[:, None] - ours[None]).max(axis=2) + np.eye(len(ours))
    assert nearest.min() > 100 * TOLERANCE, "the cells are too alike to show a difference"
    return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("max_length", [None, 100])
def test_real_cells_through_the_demo_checkpoint(
    upstream: Upstream,
    pbmc: tuple[sparse.csr_matrix, list[str]],
    ties: Ties,
    max_length: int | None,
) -> None:
    cells, genes = pbmc
    assert difference(upstream, demo.SHIPPED, cells[::20], genes, ties, max_length) < TOLERANCE


@pytest.mark.parametrize(
    ("flash_keys", "ties"),
    [(True, "mid"), (False, "mid"), (True, "spread")],
    ids=["Wqkv", "in_proj", "Wqkv-spread"],
)
def test_real_cells_through_a_checkpoint_of_whole_human_size(
    upstream: Upstream,
    pbmc: tuple[sparse.csr_matrix, list[str]],
    tmp_path: Path,
    flash_keys: bool,
    ties: Ties,
) -> None:
    cells, genes = pbmc
    checkpoint = whole_human(tmp_path / "human", genes, flash_keys=flash_keys)
    try:
        assert difference(upstream, checkpoint, cells[::100], genes, ties) < TOLERANCE
    finally:
        (checkpoint / "best_model.pt").unlink()  # 205 MB that pytest would keep


def raw_counts(n_cells: int = 200, n_genes: int = 3000) -> sparse.csr_matrix:
    """Raw counts, nearly all of them ties, of cells with 1 to 1,500 genes."""
    rng = np.random.default_rng(7)
    density = np.geomspace(0.5 / n_genes, 0.5, n_cells)[:, None]
    present = rng.random((n_cells, n_genes)) < density
    present[:, 0] = True
    return sparse.csr_matrix(rng.geometric(0.5, present.shape) * present, dtype=np.float32)


def few_distinct_values() -> sparse.csr_matrix:
    """Every number of genes from 1 to 300, so that edges fall on whole positions in all ways."""
    rng = np.random.default_rng(8)
    dense = np.zeros((300, 300), np.float32)
    for i, row in enumerate(dense):
        row[: i + 1] = rng.lognormal(sigma=2, size=i + 1).round(3) + 0.001
    return sparse.csr_matrix(dense)


def draws_of_ours(cells: sparse.csr_matrix, ties: Ties) -> NDArray[np.float64]:
    """The uniform draw that stands for upstream's, per stored value."""
    matched = np.diff(cells.indptr).astype(np.int64)
    row = np.repeat(np.arange(len(matched)), matched)
    if ties == "mid":
        return np.full(len(row), 0.5)
    low, high = _edges_around(row, cells.data.astype(np.float32), matched, n_edges=50)
    return _draws(row, cells.indices.astype(np.int64), low, high, matched)


def our_bins(cells: sparse.csr_matrix, ties: Ties) -> NDArray[np.int64]:
    """Our bin of each stored value."""
    genes = cells.shape[1]
    tokens = tokenize(
        cells, np.arange(genes), cls_id=genes, n_bins=51, pad_value=-2, max_length=genes + 1,
        ties=ties,
    )  # fmt: skip
    return np.delete(tokens.values, tokens.indptr[:-1])


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("kind", ["pbmc", "raw counts", "few distinct values"])
def test_bins_are_upstreams_when_the_draw_is_ours(
    upstream: Upstream, pbmc: tuple[sparse.csr_matrix, list[str]], kind: str, ties: Ties
) -> None:
    cells = {
        "pbmc": pbmc[0],
        "raw counts": raw_counts(),
        "few distinct values": few_distinct_values(),
    }[kind]
    ours = our_bins(cells, ties)
    theirs = upstream.bins(cells, draws_of_ours(cells, ties))
    assert len(theirs) > 10_000
    assert (ours != theirs).sum() == 0


def test_upstream_draws_anew_at_each_call_and_we_do_not(
    upstream: Upstream, pbmc: tuple[sparse.csr_matrix, list[str]]
) -> None:
    """Upstream's own entry point: the difference that remains is its draw, nothing else."""
    cells, genes = pbmc[0][::20], pbmc[1]
    upstream.load(demo.SHIPPED)
    first, again, other = (upstream.embed(cells, genes, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    embedder = Embedder.load(demo.SHIPPED, device="cpu", precision="float32")
    ours = embedder.embed_cells(cells, genes).embeddings
    itself, to_ours = (first * other).sum(axis=1), (first * ours).sum(axis=1)
    assert to_ours.mean() > itself.mean() - 1e-3


@pytest.mark.parametrize(("step", "differ"), [(2**-23, 287), (1e-4, 287), (1e-2, 122), (1.0, 0)])
def test_bins_between_close_ties_differ_by_one_at_most(
    upstream: Upstream, step: float, differ: int
) -> None:
    """Upstream's edges are rounded, ours are exact: told in docs/fidelity.md, bounded here.

    The worst case: values within `step` of each other, tied, and edges on whole positions.
    """
    rng = np.random.default_rng(9)
    dense = np.zeros((60, 2941), np.float32)
    for i, row in enumerate(dense):
        n = 1 + 49 * (i + 1)
        row[:n] = 1 + rng.integers(0, max(2, n // 14), n) * step
    cells = sparse.csr_matrix(dense)
    ours = our_bins(cells, "mid")
    apart = np.abs(ours - upstream.bins(cells, draws_of_ours(cells, "mid")))
    assert apart.max() <= 1
    assert (len(apart), apart.sum()) == (89_730, differ)
