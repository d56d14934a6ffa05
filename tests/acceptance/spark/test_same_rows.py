"""The same cells give the same rows whichever way they come to the model.

The ways are pyfunc, an endpoint, the client, a file, a table and a stream on Spark, MLflow's
``spark_udf``, ONNX, and an edge package where nothing else is installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import torch
from anndata import AnnData
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct

from benchmarks.synthetic import clustered_cells
from scgpt_databricks.model import contract
from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.batch.spark.convert import convert
from scgpt_databricks.model.batch.spark.job import Job, run
from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.edge.export import export
from scgpt_databricks.model.edge.runner import EdgeModel
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells
from tests.acceptance.bare import bare_environment
from tests.acceptance.site import Site, wait_until
from tests.acceptance.spark.test_tables import rows_of, vectors

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]

MODEL = "main.scgpt.scgpt_gene_embeddings"
TOLERANCE = 1e-5
"""Largest difference of two float32 vectors of length 1, number by number."""
PARAMS = {"task": contract.CELL_EMBEDDINGS, "min_known_fraction": 0.0, "allow_imputed": True}


def pbmc(folder: Path) -> tuple[AnnData, str]:
    """Return the 700 real cells and the shipped checkpoint."""
    return demo.pbmc_cells(), str(demo.SHIPPED)


def raw_counts(folder: Path) -> tuple[AnnData, str]:
    """Return cells with 2,000 to 5,000 genes, more than the checkpoint takes of one."""
    counts, _ = clustered_cells(40)
    genes = [f"GENE{i}" for i in range(counts.shape[1])]
    cells = AnnData(counts, var=pd.DataFrame(index=genes))
    cells.obs_names = [f"cell-{i}" for i in range(40)]
    recipe = demo.Recipe(steps=0)
    weights = demo.optimise(torch.zeros((recipe.training_cells, len(genes))), recipe, None)
    demo.write_checkpoint(folder / "checkpoint", genes, weights, recipe)
    return cells, str(folder / "checkpoint")


def built(site: Site, checkpoint: str, folder: Path) -> tuple[int, str]:
    """Build a version as users do; return its number and a folder with it."""
    words = ("build", "local", "--checkpoint", checkpoint, "--no-clean-environment", "--json")
    done = site.succeed(*words, limit_s=900)
    version = int(done.json["version"])
    fetch = (
        "import mlflow, sys; mlflow.set_registry_uri('databricks-uc');"
        "print(mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2]))"
    )
    shell = {
        **site.variables,
        "DATABRICKS_CONFIG_FILE": str(site.folder / "databrickscfg"),
        "DATABRICKS_CONFIG_PROFILE": "local",
        "MLFLOW_TRACKING_URI": "databricks",
    }
    where = folder / "model"
    where.mkdir()
    fetched = subprocess.run(
        [sys.executable, "-c", fetch, f"models:/{MODEL}/{version}", str(where)],
        env=shell, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return version, fetched.stdout.splitlines()[-1]


@contextmanager
def endpoint(site: Site, version: int) -> Iterator[Endpoint]:
    """Serve a version for as long as the block lasts."""
    path = "/api/2.0/serving-endpoints"
    entity = {
        "name": "cells", "entity_name": MODEL, "entity_version": str(version),
        "workload_size": "Small", "scale_to_zero_enabled": False,
    }  # fmt: skip
    site.api("POST", path, name="cells", config={"served_entities": [entity]})

    def ready() -> bool:
        state = site.api("GET", f"{path}/cells")["state"]
        return bool(state["ready"] == "READY")

    try:
        wait_until(ready, 300)
        headers = {"Authorization": f"Bearer {site.token()}"}
        yield Endpoint("cells", site.url, lambda: headers)
    finally:
        site.api("DELETE", f"{path}/cells")


def by_pyfunc(cells: AnnData, model: str) -> NDArray[Any]:
    frame = pd.DataFrame({contract.PACKED: [encode_cells(cells.X, list(cells.var_names))]})
    answer = mlflow.pyfunc.load_model(model).predict(frame, params=PARAMS)
    return np.stack(answer["embedding"])


def by_endpoint(cells: AnnData, place: Endpoint) -> NDArray[Any]:
    """Send plain JSON, as curl would."""
    packed = encode_cells(cells.X, list(cells.var_names))
    asked = {"dataframe_split": {"columns": [contract.PACKED], "data": [[packed]]}}
    answer = requests.post(place.url, json=asked, headers=place.headers(), timeout=300)
    assert answer.status_code == 200, answer.text
    return np.array([row["embedding"] for row in answer.json()["predictions"]], np.float32)


def by_client(cells: AnnData, place: Endpoint) -> NDArray[Any]:
    mine = cells.copy()
    with warnings.catch_warnings():  # some cells have more genes than the model reads
        warnings.filterwarnings("ignore", ".* more known genes than the model reads")
        embed(mine, place, chunk=100)
    found: NDArray[Any] = mine.obsm["X_scGPT"]
    return found


def by_onnx(cells: AnnData, package: Path) -> NDArray[Any]:
    return EdgeModel.load(package).embed_cells(cells.X, list(cells.var_names)).embeddings


def by_package(source: Path, package: Path, folder: Path) -> NDArray[Any]:
    python = bare_environment(package / "requirements.txt", folder / "bare")
    out = folder / "edge.npy"
    subprocess.run([python, package / "embed.py", source, "--out", out], check=True)
    found: NDArray[Any] = np.load(out)
    return found


def by_file(source: Path, checkpoint: str, folder: Path) -> NDArray[Any]:
    embed_file(source, folder / "out.h5ad", Embedder.load(checkpoint), chunk=100)
    found: NDArray[Any] = anndata.read_h5ad(folder / "out.h5ad").obsm["X_scGPT"]
    return found


def by_table(spark: SparkSession, cells: str, model: str, folder: Path) -> NDArray[Any]:
    run(spark, Job(cells, str(folder / "table"), model))
    return vectors(rows_of(spark, cells, str(folder / "table")))


def by_udf(spark: SparkSession, cells: str, model: str) -> NDArray[Any]:
    """Use MLflow's own function, as anybody would: the column packed, a struct of one row back."""
    embed = mlflow.pyfunc.spark_udf(
        spark, model, env_manager="local", params=PARAMS,
        result_type="id string, embedding array<double>, matched_genes long",
    )  # fmt: skip
    table = spark.read.format("delta").load(cells).repartition(3)
    rows = table.select("source_row", embed(struct("packed")).alias("e")).orderBy("source_row")
    return np.stack([row["e"]["embedding"] for row in rows.collect()])


def by_stream(spark: SparkSession, cells: str, model: str, folder: Path) -> NDArray[Any]:
    """Append the table in two halves while a stream follows."""
    growing, out = str(folder / "growing"), str(folder / "streamed")
    table = spark.read.format("delta").load(cells)
    middle = table.count() // 2
    table.where(f"source_row < {middle}").write.format("delta").save(growing)
    stop, halves = threading.Event(), iter((f"source_row >= {middle}",))

    def follow(done: int, total: int) -> None:
        if done >= middle and (half := next(halves, None)):
            table.where(half).write.format("delta").mode("append").save(growing)
        if done >= table.count():
            stop.set()

    run(spark, Job(growing, out, model), every="1 second", stop=stop, progress=follow)
    return vectors(rows_of(spark, cells, out))


@pytest.mark.parametrize("data_set", [pbmc, raw_counts])
def test_the_same_rows_whatever_the_way(
    data_set: Any, spark: SparkSession, registry: Site, tmp_path: Path
) -> None:
    cells, checkpoint = data_set(tmp_path)
    source, table, package = tmp_path / "cells.h5ad", str(tmp_path / "cells"), tmp_path / "edge"
    cells.write_h5ad(source)
    convert(spark, source, table, chunk=300)
    version, model = built(registry, checkpoint, tmp_path)
    counts = Cells(cells.X, list(cells.var_names))
    report = export(Path(checkpoint), package, counts)
    with endpoint(registry, version) as place:
        found = {
            "endpoint": by_endpoint(cells, place),
            "client": by_client(cells, place),
        }
    found |= {
        "pyfunc": by_pyfunc(cells, model),
        "file": by_file(source, checkpoint, tmp_path),
        "table": by_table(spark, table, model, tmp_path),
        "spark_udf": by_udf(spark, table, model),
        "stream": by_stream(spark, table, checkpoint, tmp_path),
        "onnx": by_onnx(cells, package),
        "edge package": by_package(source, package, tmp_path),
    }
    expected = Embedder.load(checkpoint).embed_cells(cells.X, list(cells.var_names))
    rows = expected.embeddings
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(rows.round(3), axis=0)) > len(rows) // 2
    far = {way: float(np.abs(each - rows).max()) for way, each in found.items()}
    print(json.dumps(far, indent=1))
    assert report.checkpoint_sha256 == expected.digest
    assert max(far.values()) <= TOLERANCE, far
