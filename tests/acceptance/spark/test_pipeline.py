"""The declarative pipeline, run by Spark's own ``spark-pipelines`` over Spark Connect."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyspark
import pytest
import yaml
from pyspark.sql import SparkSession

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.batch.spark.session import SETTINGS, delta_jars
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.acceptance.spark.conftest import JARS
from tests.acceptance.spark.test_tables import rows_of, vectors

PYTHON = ROOT / ".pipelines" / "bin" / "python"
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PYTHON.exists(), reason="no .pipelines: `make pipelines` installs it"),
]


def pipeline(folder: Path, cells: str, model: str) -> Path:
    """Write the example for these tables; return the table that it fills."""
    shutil.copytree(ROOT / "examples" / "pipeline", folder)
    spec = folder / "spark-pipeline.yml"
    said = yaml.safe_load(spec.read_text())
    said["storage"] = (folder / "storage").as_uri()
    said["configuration"] |= {"scgpt.cells": cells, "scgpt.model": model}
    spec.write_text(yaml.safe_dump(said))
    settings = {
        **SETTINGS,
        "spark.jars": ",".join(map(str, delta_jars(JARS))),
        "spark.driver.memory": "640m",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.shuffle.partitions": "2",
        # A catalog that the next run finds as it was; it is made in the folder.
        "spark.sql.catalogImplementation": "hive",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    (folder / "conf").mkdir()
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    (folder / "conf" / "spark-defaults.conf").write_text(lines)
    return folder / "warehouse" / "embeddings"


def run(folder: Path) -> None:
    """Run the pipeline until it has done all that is there."""
    shell = {
        **os.environ,
        "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": str(PYTHON),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
    }
    words = ["bash", str(ROOT / ".venv" / "bin" / "spark-pipelines"), "run", "--remote", "local[2]"]
    done = subprocess.run(words, cwd=folder, env=shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_pipeline_embeds_each_cell_once(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    """Run again with what came since: malformed rows, known cells, a model of another name."""
    out = str(pipeline(tmp_path / "pipeline", cells, checkpoint))
    run(tmp_path / "pipeline")
    real = pbmc_cells()
    expected = Embedder.load(checkpoint).embed_cells(real.X, list(real.var_names))
    rows = rows_of(spark, cells, out)
    assert list(rows["cell_id"]) == list(real.obs_names)
    np.testing.assert_allclose(vectors(rows), expected.embeddings, atol=1e-5)
    assert set(rows["model_digest"]) == {expected.digest}

    spark.sql(f"INSERT INTO delta.`{cells}` SELECT 'bad', 's', 0, 'x', 'AAAA'")
    spark.sql(f"INSERT INTO delta.`{cells}` SELECT * FROM delta.`{cells}` WHERE source_row < 5")
    run(tmp_path / "pipeline")
    found = spark.read.format("delta").load(out)
    assert (found.count(), found.select("cell_digest").distinct().count()) == (701, 701)
    (bad,) = found.where("error_code IS NOT NULL").collect()
    assert (bad["error_code"], bad["embedding"]) == ("packed_magic", None)

    other = shutil.copytree(checkpoint, tmp_path / "other")
    spec = tmp_path / "pipeline" / "spark-pipeline.yml"
    spec.write_text(spec.read_text().replace(checkpoint, str(other)))
    run(tmp_path / "pipeline")
    assert spark.read.format("delta").load(out).count() == 2 * 701
