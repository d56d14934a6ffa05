from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest

from tests.unit.model.reference import GENES, make_counts


@pytest.fixture
def labelled_file(tmp_path: Path) -> Path:
    """Forty cells of two types and two batches; ten of them lack a batch in another column."""
    cells = anndata.AnnData(make_counts(40, len(GENES)))
    cells.var_names = GENES
    cells.obs["type"] = ["B", "T"] * 20
    cells.obs["batch"] = ["one"] * 20 + ["two"] * 20
    cells.obs["gaps"] = [None] * 10 + ["one"] * 15 + ["two"] * 15
    cells.obs["same"] = "B"
    cells.obs["number"] = np.arange(40) % 2
    cells.layers["double"] = cells.X * 2
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    return path
