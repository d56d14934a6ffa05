"""The figures of the README are those of its picture and of the shipped checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.judge.metrics import knn_accuracy, principal_components
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells, random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.scripts.quickstart import LABELS, TITLE


def readme_figures() -> dict[str, float]:
    """Return the figures that the README shows of a quickstart."""
    found = re.findall(r"^│ (\w+) +│ +([\d.]+) │", (ROOT / "README.md").read_text(), re.M)
    return {name: float(value) for name, value in found}


def test_the_picture_is_of_the_run_that_the_readme_shows() -> None:
    with Image.open(ROOT / "docs/images/umap.png") as picture:
        assert picture.info["Title"] == TITLE.format(**readme_figures())


def test_the_picture_of_the_report_is_small_and_shows_what_went_wrong() -> None:
    path = ROOT / "docs/images/report.svg"
    text = path.read_text()
    ElementTree.fromstring(text)
    assert len(text) < 100_000
    for title in ("Requests", "Failed requests", "Refused requests", "Cells", "Tokens"):
        assert f"{title} per hour" in text
    assert "docs/images/report.svg" in (ROOT / "README.md").read_text()


def test_the_shipped_checkpoint_has_the_figures_of_the_readme(tmp_path: Path) -> None:
    """One cell of 700 is 0.0014; other processors round differently."""
    cells = pbmc_cells()
    counts, genes = sparse.csr_matrix(cells.X), list(cells.var_names)

    def embedded(checkpoint: Path) -> np.ndarray:
        engine = Embedder.load(checkpoint, device="cpu", precision="float32")
        return np.asarray(engine.embed_cells(counts, genes).embeddings)

    spaces = {
        "knn_accuracy": embedded(SHIPPED),
        "knn_accuracy_random": embedded(random_checkpoint(tmp_path / "random")),
        "knn_accuracy_pca": principal_components(counts),
    }
    labels = cells.obs[LABELS].astype(str).to_numpy()
    found = {name: knn_accuracy(space, labels) for name, space in spaces.items()}
    told = {name: value for name, value in readme_figures().items() if name in found}
    assert found == pytest.approx(told, abs=0.003)
