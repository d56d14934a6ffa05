"""Filters of a request that has nothing to filter."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.model.contract import Options, read_params
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.serve.request import check_filters

FILTERS = [
    {"filter_gene_by_counts": 3},
    {"filter_cell_by_counts": True},
    {"min_counts_per_cell": 0.5},
    {"subset_hvg": 1200},
]


@pytest.mark.parametrize("params", FILTERS)
def test_filters_that_would_filter_nothing_are_refused(params: dict[str, Any]) -> None:
    (name,) = params
    check_filters(read_params(params, Options), reads_cells=True)
    with pytest.raises(InvalidRequest, match=f"{name} is .*need_preprocess is false"):
        check_filters(read_params({**params, "need_preprocess": False}, Options), reads_cells=True)
    with pytest.raises(InvalidRequest, match=f"{name} is .*does not depend on cells"):
        check_filters(read_params(params, Options), reads_cells=False)


def test_a_share_of_counts_needs_counts() -> None:
    options = read_params({"min_known_fraction": 0.1, "need_preprocess": False}, Options)
    check_filters(options, reads_cells=True)
    with pytest.raises(InvalidRequest, match=r"min_known_fraction is 0\.1"):
        check_filters(options, reads_cells=False)
