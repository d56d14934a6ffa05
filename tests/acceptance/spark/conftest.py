"""Real PySpark with real Delta: one session for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.batch.spark.convert import convert
from scgpt_databricks.model.batch.spark.session import check_java, delta_jars, session
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells

JARS = ROOT / ".local" / "jars"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    try:
        check_java()
        delta_jars(JARS)
    except InvalidRequest as error:
        pytest.skip(str(error))
    settings = {
        "spark.driver.memory": "640m",
        # What is compiled well is not worth it in a minute.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.shuffle.partitions": "2",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    started = session("local[2]", JARS, settings)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 700 real cells, in a file."""
    folder = tmp_path_factory.mktemp("files")
    pbmc_cells().write_h5ad(folder / "pbmc.h5ad")
    return folder


@pytest.fixture(scope="session")
def made(spark: SparkSession, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of these cells, made in two commits; tests copy it."""
    table = tmp_path_factory.mktemp("made") / "cells"
    convert(spark, files / "pbmc.h5ad", str(table), chunk=350)
    return table


@pytest.fixture
def cells(made: Path, tmp_path: Path) -> str:
    """Return a table of the 700 cells, for this test."""
    return str(shutil.copytree(made, tmp_path / "cells"))


@pytest.fixture(scope="session")
def checkpoint() -> str:
    return str(SHIPPED)
