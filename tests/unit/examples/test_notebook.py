"""The notebook is one of Databricks' source form, and runs as a script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anndata
import pytest

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.scgpt.demo import SHIPPED

NOTEBOOK = ROOT / "examples" / "notebook.py"


def test_its_cells_are_what_databricks_reads() -> None:
    first, *cells = NOTEBOOK.read_text().split("# COMMAND ----------\n")
    assert first.startswith("# Databricks notebook source\n# MAGIC %md\n")
    assert len(cells) > 10
    for cell in cells:
        lines = [line for line in cell.splitlines() if line]
        magic = [line.startswith("# MAGIC") for line in lines]
        assert all(magic) or not any(magic), cell
        compile("\n".join(lines), "cell", "exec")


@pytest.mark.long
def test_it_runs_as_a_script(tmp_path: Path) -> None:
    out, picture = tmp_path / "out.h5ad", tmp_path / "umap.png"
    given = (f"checkpoint={SHIPPED}", f"out={out}", f"picture={picture}")
    done = subprocess.run(
        (sys.executable, "-m", "examples.notebook", *given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["cells"] == 700
    assert found["X_scGPT"] > 3 * found["chance"]
    assert "CD3D: nearest of these is CD3E" in done.stdout
    assert picture.read_bytes()[:4] == b"\x89PNG"
    embedded = anndata.read_h5ad(out)
    assert embedded.obsm["X_scGPT"].shape == (700, 64)
    assert embedded.obsm["X_pca"].shape == (700, 50)
