"""A round trip of unmodified mlflow and databricks-sdk to a workspace; run as a program.

``python round_trip.py SCHEMA MEBIBYTES`` prints one JSON object of what was seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from databricks.sdk import WorkspaceClient
from mlflow.models import infer_signature

_CODE = """
import hashlib
import mlflow

class Digest(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["big"], "rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def predict(self, context, model_input, params=None):
        return [self.digest] * len(model_input)

mlflow.models.set_model(Digest())
"""


def main(schema: str, mebibytes: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp())
    (folder / "code.py").write_text(_CODE)
    (folder / "big.bin").write_bytes(os.urandom(1 << 20) * mebibytes)
    digest = hashlib.sha256((folder / "big.bin").read_bytes()).hexdigest()
    name, cells = f"main.{schema}.digest", pd.DataFrame({"a": [1.0]})
    client, workspace = mlflow.MlflowClient(), WorkspaceClient()
    workspace.schemas.create(schema, "main")

    mlflow.set_experiment(f"/Shared/{schema}")
    with mlflow.start_run() as run:
        mlflow.log_param("p", 1)
        mlflow.log_metric("x", 2.0)
        mlflow.log_dict({"a": 1}, "d.json")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=folder / "code.py",
            artifacts={"big": str(folder / "big.bin")},
            registered_model_name=name,
            signature=infer_signature(cells, ["x"]),
            pip_requirements=["mlflow"],
        )
    version = str(logged.registered_model_version)
    client.set_registered_model_alias(name, "champion", version)
    client.set_model_version_tag(name, version, "validated", "true")
    client.set_registered_model_tag(name, "team", "bio")
    client.set_model_version_tag(name, version, "mistake", "x")
    client.delete_model_version_tag(name, version, "mistake")
    client.set_registered_model_tag(name, "mistake", "x")
    client.delete_registered_model_tag(name, "mistake")
    client.set_registered_model_alias(name, "mistake", version)
    client.delete_registered_model_alias(name, "mistake")
    client.update_model_version(name, version, "a card")
    found = client.get_model_version_by_alias(name, "champion")
    model = client.get_registered_model(name)
    loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    copy = client.copy_model_version(f"models:/{name}/{version}", f"main.{schema}.copy")
    info = workspace.registered_models.get(name, include_aliases=True)
    kept = [client.get_model_version(*of).tags for of in ((name, version), (copy.name, "1"))]
    client.delete_model_version(copy.name, "1")
    client.delete_registered_model(copy.name)
    dictionary = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/d.json")
    return {
        "version": version,
        "status": found.status,
        "tags": found.tags,
        "card": found.description,
        "tags_kept": kept,
        "model": [model.aliases, model.tags],
        "searched": [v.version for v in client.search_model_versions(f"name='{name}'")],
        "models": [m.name for m in client.search_registered_models() if f".{schema}." in m.name],
        "same_model_id": found.model_id == logged.model_id,
        "digest_kept": loaded.predict(cells) == [digest],
        "copy": [copy.name, copy.version, copy.status],
        "aliases": [alias.alias_name for alias in info.aliases or []],
        "owner": info.owner,
        "versions": [v.version for v in workspace.model_versions.list(name)],
        "dictionary": dictionary,
        "runs": len(mlflow.search_runs(experiment_names=[f"/Shared/{schema}"])),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
