from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import pbmc_cells


@pytest.fixture(scope="session")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five real cells."""
    path = tmp_path_factory.mktemp("cells") / "five.h5ad"
    pbmc_cells()[:5].write_h5ad(path)
    return path
