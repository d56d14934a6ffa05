"""The tokeniser against a plain restatement of scGPT's binning, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from scgpt_databricks.model.scgpt.tokenizer import Tokens, mix64, tokenize

IDS = np.arange(40)[::-1] + 2
CLS = 1


def tokens_of(dense: np.ndarray, **options: object) -> Tokens:
    arguments = {"cls_id": CLS, "n_bins": 51, "pad_value": -2, "max_length": 1200} | options
    counts = sparse.csr_matrix(np.atleast_2d(dense))
    return tokenize(counts, IDS[: counts.shape[1]], **arguments)


def by_quantile(x: np.ndarray, n_bins: int, draw: np.ndarray | float) -> np.ndarray:
    """scGPT's definition: quantile edges, counted from both sides, a draw in between."""
    edges = np.quantile(x, np.linspace(0, 1, n_bins - 1))
    high = np.digitize(x, edges)
    low = np.digitize(x, edges, right=True)
    return np.ceil(draw * (low - high) + high).astype(np.int64)


counts_of_a_cell = arrays(
    np.float32, 40, elements=st.integers(0, 6) | st.integers(0, 900) | st.just(0)
).filter(np.any)


# Values that lie a few percent apart: for tied neighbours within about 1 %, scGPT's rounded edges
# may differ by one bin (docs/fidelity.md), which test_upstream.py bounds.
counts_apart = arrays(
    np.float32, 40, elements=st.integers(0, 20) | st.sampled_from([25, 60, 130, 300, 900])
).filter(np.any)


@settings(deadline=None, max_examples=300)
@given(counts_apart, st.sampled_from([3, 11, 51]))
def test_bins_equal_scgpts_with_the_draw_at_one_half(cell: np.ndarray, n_bins: int) -> None:
    got = tokens_of(cell[::-1], n_bins=n_bins)  # reversed: so that ids ascend with columns
    wanted = by_quantile(cell[cell != 0], n_bins, 0.5)
    np.testing.assert_array_equal(got.values[1:], wanted)


@pytest.mark.parametrize("n_genes", [1, 2, 49, 50, 51, 99, 1961, 3000])
@pytest.mark.parametrize("kind", ["ties", "continuous", "all equal"])
def test_bins_equal_scgpts_at_awkward_lengths(n_genes: int, kind: str) -> None:
    rng = np.random.default_rng(n_genes)
    x = {
        "ties": rng.integers(1, 5, n_genes),
        "continuous": rng.random(n_genes) + 0.1,
        "all equal": np.full(n_genes, 3),
    }[kind].astype(np.float32)
    got = tokenize(
        sparse.csr_matrix(x[None]),
        np.arange(n_genes),
        cls_id=CLS,
        n_bins=51,
        pad_value=-2,
        max_length=5000,
    )
    np.testing.assert_array_equal(got.values[1:], by_quantile(x, 51, 0.5))


@pytest.mark.parametrize(("n_bins", "differ"), [(51, 0), (101, 20), (201, 1)])
def test_other_numbers_of_bins_differ_by_one_at_most(n_bins: int, differ: int) -> None:
    """Counts without ties in cells of 1 to 399 genes: told in docs/fidelity.md, bounded here."""
    dense = np.tril(np.tile(np.arange(1, 400, dtype=np.float32), (399, 1)))
    tokens = tokenize(
        sparse.csr_matrix(dense), np.arange(399), cls_id=399, n_bins=n_bins, pad_value=-2,
        max_length=400,
    )  # fmt: skip
    ours = np.split(tokens.values, tokens.indptr[1:-1])
    apart = [np.abs(x[1:] - by_quantile(row[: len(x) - 1], n_bins, 0.5))
             for x, row in zip(ours, dense, strict=True)]  # fmt: skip
    found = np.concatenate(apart)
    assert (found.max() <= 1, found.sum()) == (True, differ)


@settings(deadline=None)
@given(counts_of_a_cell, st.sampled_from(["mid", "spread"]))
def test_counts_normalised_and_log1p_give_the_same_tokens(cell: np.ndarray, ties: str) -> None:
    normalised = cell / cell.sum() * 1e4
    raw, normal, log = (tokens_of(x, ties=ties) for x in (cell, normalised, np.log1p(normalised)))
    for other in (normal, log):
        np.testing.assert_array_equal(raw.genes, other.genes)
        np.testing.assert_array_equal(raw.values, other.values)


@settings(deadline=None)
@given(counts_of_a_cell, counts_of_a_cell, st.sampled_from(["mid", "spread"]))
def test_other_cells_never_change_a_cells_tokens(a: np.ndarray, b: np.ndarray, ties: str) -> None:
    alone = tokens_of(a, ties=ties, max_length=9)
    together = tokens_of(np.stack([b, a]), ties=ties, max_length=9)
    np.testing.assert_array_equal(alone.genes, together.genes[together.indptr[1] :])
    np.testing.assert_array_equal(alone.values, together.values[together.indptr[1] :])


def splitmix64(x: int) -> int:
    """From the published algorithm, on Python integers."""
    m = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & m
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & m
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & m
    return x ^ (x >> 31)


def test_mix64_is_splitmix64() -> None:
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # the first output of the published generator
    x = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    assert mix64(x).tolist() == [splitmix64(int(v)) for v in x]


def test_spread_follows_its_specification() -> None:
    cell = np.array([2, 2, 2, 1, 1, 7, 0, 2], np.float32)
    x = cell[cell != 0]
    genes = [int(IDS[i]) for i in np.flatnonzero(cell)]
    edges = np.quantile(x, np.linspace(0, 1, 50))
    high = np.digitize(x, edges).tolist()
    low = np.digitize(x, edges, right=True).tolist()
    m = 2**64
    token = [
        splitmix64((splitmix64(g) + (lo << 32) + hi) % m)
        for g, lo, hi in zip(genes, low, high, strict=True)
    ]
    total = sum(token) % m
    draw = [(splitmix64((total + t) % m) >> 11) * 2.0**-53 for t in token]
    wanted = dict(zip(genes, by_quantile(x, 51, np.array(draw)), strict=True))
    got = tokens_of(cell, ties="spread")
    assert dict(zip(got.genes[1:].tolist(), got.values[1:].tolist(), strict=True)) == wanted


def test_spread_reaches_the_whole_range_of_tied_values() -> None:
    """2,000 equal values: the bins look uniform over 1 .. 50, as upstream's do."""
    ids = np.arange(2000)
    cell = sparse.csr_matrix(np.ones((1, 2000), np.float32))
    got = tokenize(
        cell, ids, cls_id=CLS, n_bins=51, pad_value=-2, max_length=3000, ties="spread"
    ).values[1:]
    share = np.bincount(got, minlength=51)[1:]
    assert share.min() > 0
    assert ((share - 40) ** 2 / 40).sum() < 100  # chi-square of 49 degrees; 99.99 % lie below


def test_truncation_keeps_the_smallest_hashes() -> None:
    got = tokens_of(np.arange(1, 41, dtype=np.float32), max_length=11, seed=5)
    salt = splitmix64(5)
    wanted = sorted(IDS.tolist(), key=lambda g: splitmix64((g + salt) % 2**64))[:10]
    assert got.genes.tolist() == [CLS, *sorted(wanted)]
    assert (got.matched[0], got.truncated[0]) == (40, 30)


def test_bins_are_assigned_before_truncation() -> None:
    dense = np.arange(1, 41, dtype=np.float32)
    whole, cut = tokens_of(dense), tokens_of(dense, max_length=11)
    bins = dict(zip(whole.genes.tolist(), whole.values.tolist(), strict=True))
    assert cut.values.tolist() == [bins[g] for g in cut.genes.tolist()]


def test_cls_leads_every_cell_even_an_empty_one() -> None:
    got = tokens_of(np.array([[0, 3, 0], [0, 0, 0], [1, 0, 2]], np.float32))
    assert got.lengths().tolist() == [2, 1, 3]
    assert got.genes[got.indptr[:-1]].tolist() == [CLS] * 3
    assert got.values[got.indptr[:-1]].tolist() == [-2] * 3
