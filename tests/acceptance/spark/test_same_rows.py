"""The same cells give the same rows through pyfunc, a file, a table, ``spark_udf`` and a stream."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anndata
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct

from benchmarks.synthetic import clustered_cells
from scgpt_databricks.model import contract, pyfunc
from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.batch.spark.convert import convert
from scgpt_databricks.model.batch.spark.job import Job, run
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells
from tests.acceptance.spark.test_tables import rows_of, vectors

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]

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


def save(checkpoint: str, folder: Path) -> str:
    """Save the model as MLflow has it, with the repository's own package."""
    entry = folder / "entry.py"
    entry.write_text(
        "import mlflow\nfrom scgpt_databricks.model.pyfunc import ScgptModel\n"
        "mlflow.models.set_model(ScgptModel())\n"
    )
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(entry),
        artifacts={"checkpoint": checkpoint},
        signature=pyfunc.signature(),
        pip_requirements=["mlflow"],
        model_config={"device": "cpu"},
    )
    return str(folder / "model")


def by_pyfunc(cells: AnnData, model: str) -> NDArray[Any]:
    frame = pd.DataFrame({contract.PACKED: [encode_cells(cells.X, list(cells.var_names))]})
    answer = mlflow.pyfunc.load_model(model).predict(frame, params=PARAMS)
    return np.stack(answer["embedding"])


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
def test_the_same_rows_whatever_the_way(data_set: Any, spark: SparkSession, tmp_path: Path) -> None:
    cells, checkpoint = data_set(tmp_path)
    source, table = tmp_path / "cells.h5ad", str(tmp_path / "cells")
    cells.write_h5ad(source)
    convert(spark, source, table, chunk=300)
    model = save(checkpoint, tmp_path)
    found = {
        "pyfunc": by_pyfunc(cells, model),
        "file": by_file(source, checkpoint, tmp_path),
        "table": by_table(spark, table, model, tmp_path),
        "spark_udf": by_udf(spark, table, model),
        "stream": by_stream(spark, table, checkpoint, tmp_path),
    }
    expected = Embedder.load(checkpoint).embed_cells(cells.X, list(cells.var_names)).embeddings
    assert np.linalg.norm(expected, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(expected.round(3), axis=0)) > len(expected) // 2
    far = {way: float(np.abs(rows - expected).max()) for way, rows in found.items()}
    assert max(far.values()) <= TOLERANCE, far
