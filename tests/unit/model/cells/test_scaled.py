"""Unit variance without centring is found in few cells too, and no measured cells are refused.

The thresholds were chosen on PBMC cells and Poisson counts; these are negative binomial counts in
clusters, with depths and directions of their own (`benchmarks.synthetic`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy import sparse

from benchmarks.synthetic import clustered_cells
from scgpt_databricks.model.cells.imputed import LEAST_CELLS, LEAST_SCALED, check_data_set
from scgpt_databricks.model.errors import InvalidRequest

Form = Callable[[np.ndarray], np.ndarray]

COUNTS = clustered_cells(120)[0].toarray()[:, ::4].astype(np.float64)
LENGTHS = np.random.default_rng(1).lognormal(7.5, 0.8, COUNTS.shape[1])
FORMS: dict[str, Form] = {
    "raw": lambda x: x,
    "per ten thousand": lambda x: x / x.sum(axis=1, keepdims=True) * 1e4,
    "log1p": lambda x: np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4),
    "square root": np.sqrt,
    "by length": lambda x: x / LENGTHS,
    "TPM": lambda x: x / LENGTHS / (x / LENGTHS).sum(axis=1, keepdims=True) * 1e6,
    "log TPM": lambda x: np.log1p(x / LENGTHS / (x / LENGTHS).sum(axis=1, keepdims=True) * 1e6),
    "less a soup": lambda x: np.maximum(x - np.linspace(0.2, 0.8, len(x))[:, None] * x.mean(0), 0),
    "present or not": lambda x: (x > 0).astype(float),
}


def scaled(x: np.ndarray, ddof: int = 1) -> np.ndarray:
    deviation = x.std(axis=0, ddof=ddof)
    return x / np.where(deviation > 0, deviation, 1)


def check(values: np.ndarray) -> None:
    check_data_set([sparse.csr_matrix(values.astype(np.float32))])


@pytest.mark.parametrize("n_cells", [3, 5, 10, 20, 60])
@pytest.mark.parametrize("form", FORMS)
def test_measured_cells_pass(form: str, n_cells: int) -> None:
    for start in range(0, 60, 20):
        check(FORMS[form](COUNTS)[start : start + n_cells])


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n_cells", [LEAST_SCALED, 5, 10, 20, 60])
@pytest.mark.parametrize("form", ["raw", "per ten thousand", "log1p", "log TPM"])
def test_all_cells_that_were_scaled_are_refused(form: str, n_cells: int, ddof: int) -> None:
    values = scaled(FORMS[form](COUNTS[:n_cells]), ddof)
    with pytest.raises(InvalidRequest) as caught:
        check(values)
    assert caught.value.code == "scaled_values"
    with pytest.raises(InvalidRequest, match="zero_center=False"):
        check(np.minimum(values, np.quantile(values, 0.999)))  # max_value of sc.pp.scale


@pytest.mark.parametrize(
    ("form", "n_cells"),
    [("log1p", LEAST_CELLS), *product(("raw", "per ten thousand", "log1p"), (15, 20, 60))],
)
def test_a_part_of_them_is_refused(form: str, n_cells: int) -> None:
    values = scaled(FORMS[form](COUNTS))
    for start in range(0, 60, 20):
        with pytest.raises(InvalidRequest, match="scaled to unit variance"):
            check(values[start : start + n_cells])


def test_equal_cells_and_stored_zeros_pass() -> None:
    check(np.repeat(COUNTS[:1], 20, axis=0))
    stored = sparse.csr_matrix(FORMS["TPM"](COUNTS[:20]).astype(np.float32))
    stored.data[::3] = 0
    check_data_set([stored])
