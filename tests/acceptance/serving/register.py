"""Registers versions of a small model with unmodified mlflow; run as a program.

``python register.py FULL_NAME`` prints the numbers of three versions: two work, one imports this
repository.
Each brings a module `marker` of its own and answers with its text.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature

_GOOD = """
import marker
import mlflow

class Marked(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [{"cell": str(cell), "marker": marker.TEXT} for cell in model_input["cell"]]

mlflow.models.set_model(Marked())
"""
_BAD = "import scgpt_databricks.infra.naming\n" + _GOOD


def _register(name: str, source: str, marker: str) -> int:
    folder = Path(tempfile.mkdtemp())
    (folder / "pyfunc.py").write_text(source)
    (folder / "marker.py").write_text(f"TEXT = {marker!r}\n")
    sys.path.insert(0, str(folder))
    sys.modules.pop("marker", None)
    answer = [{"cell": "a", "marker": "m"}]
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=folder / "pyfunc.py",
            code_paths=[str(folder / "marker.py")],
            registered_model_name=name,
            signature=infer_signature(pd.DataFrame({"cell": ["a"]}), answer),
            pip_requirements=["mlflow"],
        )
    sys.path.remove(str(folder))
    return int(logged.registered_model_version)


def main(name: str) -> list[int]:
    mlflow.set_experiment("/Shared/serving")
    return [
        _register(name, _GOOD, "first"),
        _register(name, _GOOD, "second"),
        _register(name, _BAD, "third"),
    ]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
