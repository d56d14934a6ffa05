"""Imputed values are told from measured ones, however these were normalised."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.imputed import (
    JUDGED,
    LEAST_GENES,
    check_data_set,
    check_not_imputed,
    looks_imputed,
)
from scgpt_databricks.model.errors import InvalidRequest

RNG = np.random.default_rng(0)
COUNTS = RNG.negative_binomial(2, 0.3, (20, 400)).astype(np.float64)  # 9 % zeros: very deep
SMOOTHED = COUNTS @ RNG.random((400, 400)) / 400


def cells(values: np.ndarray) -> Cells:
    return Cells(sparse.csr_matrix(values.astype(np.float32)), [f"G{i}" for i in range(400)])


def test_smoothed_cells_look_imputed() -> None:
    assert looks_imputed(cells(SMOOTHED).counts).all()
    with pytest.raises(InvalidRequest, match="20 of 20 cells look imputed"):
        check_not_imputed([cells(COUNTS), cells(SMOOTHED)])


@pytest.mark.parametrize(
    "normalised",
    [
        lambda x: x,
        lambda x: x + 1,
        lambda x: x / x.sum(axis=1, keepdims=True) * 1e4,
        lambda x: np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4),
        lambda x: x / (x.max(axis=0) + 1),  # every fraction differs, but zeros stay
        lambda x: np.round(x * 1e4 * RNG.random(400)),  # no two alike, but whole: pseudo-bulk
    ],
    ids=["raw", "no zero", "per ten thousand", "log1p", "by the gene's maximum", "whole"],
)
def test_measured_cells_do_not(normalised: Callable[[np.ndarray], np.ndarray]) -> None:
    sparser = COUNTS * (RNG.random(COUNTS.shape) < 0.8)
    assert not looks_imputed(cells(normalised(sparser)).counts).any()
    check_not_imputed([cells(normalised(sparser))])


def test_a_few_odd_cells_among_others_pass() -> None:
    mixed = COUNTS.copy()
    mixed[:10] = SMOOTHED[:10]
    check_not_imputed([cells(mixed)])
    mixed[10] = SMOOTHED[10]
    with pytest.raises(InvalidRequest, match="11 of 20"):
        check_not_imputed([cells(mixed)])


def test_one_cell_or_few_genes_are_not_judged() -> None:
    check_not_imputed([cells(SMOOTHED[:1])])
    few = Cells(sparse.csr_matrix(SMOOTHED[:, : LEAST_GENES - 1]), [""] * (LEAST_GENES - 1))
    check_not_imputed([few])


@pytest.mark.parametrize("size", [1, 3, 20])
def test_how_a_data_set_is_cut_has_no_say(size: int) -> None:
    mixed = np.concatenate([COUNTS[:9], SMOOTHED[:11], np.zeros((30, 400))])
    with pytest.raises(InvalidRequest, match="11 of 20"):
        check_data_set(cells(mixed[at : at + size]).counts for at in range(0, 50, size))


def test_no_more_is_taken_than_is_judged() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[sparse.csr_matrix]:
        for at in range(0, 2 * JUDGED, 20):
            taken.append(at)
            yield cells(COUNTS).counts

    check_data_set(pieces())
    assert taken[-1] < JUDGED


def deep(n_cells: int = 120, genes: int = 400) -> np.ndarray:
    """Raw counts of cells whose genes differ in rate."""
    rng = np.random.default_rng(3)
    rate = rng.gamma(1.0, 2.0, genes) * rng.lognormal(0, 0.3, (n_cells, 1))
    return rng.poisson(rng.gamma(2, rate / 2)).astype(np.float64)


def normed(x: np.ndarray) -> np.ndarray:
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)


def scaled(x: np.ndarray) -> np.ndarray:
    return x / np.where(x.std(axis=0, ddof=1) > 0, x.std(axis=0, ddof=1), 1)


@pytest.mark.parametrize("first", [120, 60, 25])
@pytest.mark.parametrize("before", [normed, lambda x: x / x.sum(axis=1, keepdims=True)])
def test_unit_variance_without_centring_is_found(
    before: Callable[[np.ndarray], np.ndarray], first: int
) -> None:
    values = scaled(before(deep()))[:first]
    with pytest.raises(InvalidRequest) as caught:
        check_not_imputed([cells(values)])
    assert caught.value.code == "scaled_values"
    with pytest.raises(InvalidRequest, match="zero_center=False"):
        check_data_set(cells(x).counts for x in np.array_split(values, 5))


@pytest.mark.parametrize("first", [120, 60, 25])
@pytest.mark.parametrize("per", ["count", "length"])
@pytest.mark.parametrize("form", [lambda x: x, normed, lambda x: np.log1p(x / 100)])
def test_measured_values_have_no_unit_variance(
    form: Callable[[np.ndarray], np.ndarray], per: str, first: int
) -> None:
    length = np.random.default_rng(4).lognormal(7.5, 0.8, 400) if per == "length" else 1.0
    values = deep() / length
    check_not_imputed([cells(form(values / values.sum(axis=1, keepdims=True) * 1e6)[:first])])
