"""The GPU benchmark is carried to machines that have torch, numpy and scipy and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu
from scgpt_databricks.model.scgpt.embedder import Embedder

ROOT = Path(gpu.__file__).parents[1]
ABSENT = ("mlflow", "pandas", "anndata", "scanpy", "databricks", "cdktf", "click", "rich", "h5py")


def test_it_imports_without_anything_else() -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({ABSENT})); import benchmarks.gpu"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_its_cells_have_the_tokens_that_they_claim(checkpoint: Path) -> None:
    embedder = gpu._unlimited(Embedder.load(checkpoint, device="cpu"))
    counts, genes = gpu.made_up(2, 99, genes=120)
    tokens = embedder.tokenize(counts, [f"G{gene.removeprefix('GENE')}" for gene in genes])
    np.testing.assert_array_equal(tokens.lengths(), 100)
    assert gpu.useful_flops(tokens.lengths(), embedder.network) > 0


@pytest.mark.parametrize("cosine", [0.99949, -1.0, float("nan")])
def test_wrong_answers_fail_it_and_are_still_reported(tmp_path: Path, cosine: float) -> None:
    cosines = {"min_cosine": cosine, "mean_cosine": 1.0}
    result = {"parity": cosines, "parity_ok": gpu.is_parity(cosines)}
    with pytest.raises(SystemExit, match="parity failed: min_cosine"):
        gpu.report(result, tmp_path / "gpu.json")
    assert json.loads((tmp_path / "gpu.json").read_text())["parity_ok"] is False


def test_right_answers_pass(tmp_path: Path) -> None:
    cosines = {"min_cosine": 0.99951, "mean_cosine": 1.0}
    gpu.report({"parity": cosines, "parity_ok": gpu.is_parity(cosines)}, tmp_path / "gpu.json")
    assert json.loads((tmp_path / "gpu.json").read_text())["parity_ok"] is True
