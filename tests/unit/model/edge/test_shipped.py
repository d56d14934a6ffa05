"""The code of an edge package needs onnxruntime, numpy and h5py, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scgpt_databricks.model.build import copy_modules
from scgpt_databricks.model.edge import runner

_ALLOWED = {"numpy", "h5py", "onnxruntime"}
_ASK = """
import sys
class Bare:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in {"scipy", "pandas", "anndata", "torch", "mlflow", "onnx", "click"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Bare())
before = set(sys.modules)
import scgpt_edge.edge.runner
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
"""


def test_the_code_imports_three_packages(tmp_path: Path) -> None:
    copy_modules(Path(runner.__file__), tmp_path / "scgpt_edge")
    done = subprocess.run(
        [sys.executable, "-c", _ASK], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    roots = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {"scgpt_edge", *_ALLOWED} <= roots
    assert "scgpt_databricks" not in roots
