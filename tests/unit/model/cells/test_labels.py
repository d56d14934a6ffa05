"""Cells without a label have none, whichever way pandas says so."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from scgpt_databricks.model.cells.in_memory import cells_of_anndata
from scgpt_databricks.model.cells.labels import labels


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["T", None, "B"], dtype=object),
        pd.Series(["T", np.nan, "B"], dtype=object),
        pd.Series(["T", pd.NA, "B"], dtype="string"),
        pd.Categorical(["T", None, "B"]),
    ],
    ids=["None", "nan", "NA", "category"],
)
def test_a_missing_label_is_no_group(column: object) -> None:
    adata = anndata.AnnData(np.ones((3, 2), np.float32))
    adata.obs["type"] = np.asarray(column, dtype=object)
    assert cells_of_anndata(adata).obs == {"type": ["T", None, "B"]}


def test_numbers_are_labels_and_missing_ones_are_none() -> None:
    adata = anndata.AnnData(np.ones((3, 2), np.float32))
    adata.obs["cluster"] = pd.array([1, None, 2], dtype="Int64")
    assert cells_of_anndata(adata).obs == {"cluster": ["1", None, "2"]}


def test_whole_floats_are_the_integers_that_they_were() -> None:
    """A column of integers becomes one of floats where a label is missing."""
    assert labels([1, 2, 1]) == labels(pd.Series([1.0, 2.0, 1.0])) == ["1", "2", "1"]
    assert labels(pd.Series([1, None, 2])) == ["1", None, "2"]
    assert labels(np.array([3, -0.0], np.float32)) == ["3", "0"]
    assert labels([0.5, float("inf"), 1e300, True, "1.0"]) == [
        "0.5",
        "inf",
        "1e+300",
        "True",
        "1.0",
    ]
