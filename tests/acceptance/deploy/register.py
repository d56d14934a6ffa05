"""Registers small validated versions of a model with unmodified mlflow; run as a program.

``python register.py FULL_NAME COUNT``. They answer with a constant: what is deployed here is never
asked for embeddings.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature

SOURCE = """
import mlflow

class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [{"cell": str(cell)} for cell in model_input["cell"]]

mlflow.models.set_model(Constant())
"""


def main(name: str, count: int) -> None:
    mlflow.set_experiment(f"/Shared/{name}")
    pyfunc = Path(tempfile.mkdtemp()) / "pyfunc.py"
    pyfunc.write_text(SOURCE)
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=pyfunc,
            signature=infer_signature(pd.DataFrame({"cell": ["a"]}), [{"cell": "a"}]),
            pip_requirements=["mlflow"],
        )
    for _ in range(count):
        mlflow.register_model(logged.model_uri, name, tags={"validated": "true"})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
