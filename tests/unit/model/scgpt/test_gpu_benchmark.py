"""The GPU benchmark is carried to machines that have torch, numpy and scipy and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

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


def test_everything_is_measured_where_there_is_a_device(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor stands in for the device; the figures mean nothing."""
    load, made_up, put = Embedder.load, gpu.made_up, monkeypatch.setattr
    put(Embedder, "load", lambda source, device: load(source, device="cpu"))

    def few(cells: int, expressed: int, genes: int = 0) -> tuple[Any, list[str]]:
        counts, names = made_up(cells, min(expressed, 100), 120)
        return counts, [f"G{name.removeprefix('GENE')}" for name in names]

    def many(cells: int) -> tuple[Any, list[str]]:
        rows = [few(1, 1 + 12 * row)[0] for row in range(8)]
        return sparse.vstack(rows, format="csr"), few(1, 1)[1]

    put(gpu, "made_up", few)
    put(gpu, "mixed_lengths", many)
    put(gpu, "RUNS", 1)
    put(gpu, "WARM_UP", 0)
    put(gpu, "gemm_flops", lambda dtype: 1e9)
    for name in ("synchronize", "reset_peak_memory_stats"):
        put(gpu.torch.cuda, name, lambda: None)
    put(gpu.torch.cuda, "max_memory_allocated", lambda: 1)
    put(gpu.torch.cuda, "get_device_name", lambda: "a processor")
    put(gpu.torch.cuda, "get_device_capability", lambda: (8, 0))
    found = gpu.measure(checkpoint, 8)
    assert found["parity_ok"]
    assert len(found["runs"]) == len(gpu.LENGTHS) * len(gpu.BUDGETS)
    assert set(found["many_lengths"]) == {"cell by cell", "padded"}
    assert set(found["concurrent_small_requests"]) == {"apart", "together"}
    json.dumps(found)
