"""The Spark session: the one that runs, or one of this machine with Delta's jars."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidRequest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVAS = (17, 21)
JARS = Path(".local/jars")
"""Folder into which ``make jars`` puts them."""
_DELTA = ("delta-spark_*.jar", "delta-storage-*.jar")
_FETCH = "Fetch them once: make jars (needs Maven)"
_ON_DATABRICKS = "DATABRICKS_RUNTIME_VERSION"
SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
    "spark.databricks.delta.snapshotPartitions": "2",
}
"""Settings of a session on this machine."""


def session(
    master: str = "local[*]",
    jars: Path = JARS,
    settings: Mapping[str, str] | None = None,
) -> SparkSession:
    """Return the session of a Databricks cluster or of this process, or start one here.

    Parameters
    ----------
    master
        As Spark names it; ``local[2]`` runs two tasks at a time on this machine.
    jars
        Folder of Delta's jars.
    settings
        Of Spark, beside those that Delta needs.

    Raises
    ------
    InvalidRequest
        ``no_java``, ``wrong_java``, ``no_jars``.
    """
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None or _ON_DATABRICKS in os.environ:
        return running or SparkSession.builder.getOrCreate()
    check_java()
    found = ",".join(map(str, delta_jars(jars)))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("scgpt")
    for name, value in {**SETTINGS, "spark.jars": found, **(settings or {})}.items():
        builder = builder.config(name, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    return started


def check_java() -> None:
    """Refuse a machine without a Java that Spark 4 runs on (``no_java``, ``wrong_java``)."""
    wanted = " or ".join(map(str, JAVAS))
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    if shutil.which(java) is None:
        where = f"JAVA_HOME is {home}, but there is no {java}" if home else "there is no java here"
        raise InvalidRequest(
            "no_java",
            f"Spark needs Java {wanted}: {where}. Install one (apt-get install "
            "openjdk-17-jre-headless), or set JAVA_HOME. `scgpt embed-file` needs no Java.",
        )
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found[1]) not in JAVAS:
        version = found[1] if found else said.strip()[:80] or "unknown"
        raise InvalidRequest(
            "wrong_java",
            f"Spark needs Java {wanted}, but {java} is Java {version}. Set JAVA_HOME to another.",
        )


def delta_jars(folder: Path) -> list[Path]:
    """Return the jars of Delta in a folder, made for this Spark.

    Raises
    ------
    InvalidRequest
        ``no_jars``: one is missing, or is made for another Spark.
    """
    import pyspark

    found = [path for pattern in _DELTA for path in sorted(folder.glob(pattern))]
    if not all(any(folder.glob(pattern)) for pattern in _DELTA):
        raise InvalidRequest(
            "no_jars", f"Delta's jars are not in {folder}. {_FETCH}, or name their folder: --jars."
        )
    ours = ".".join(pyspark.__version__.split(".")[:2])
    if len(found) > len(_DELTA) or not found[0].name.startswith(f"delta-spark_{ours}_"):
        raise InvalidRequest(
            "no_jars",
            f"the jars in {folder} are {', '.join(path.name for path in found)}, but PySpark is "
            f"{pyspark.__version__} and needs delta-spark_{ours}_*.jar and delta-storage-*.jar. "
            f"Delete them. {_FETCH}.",
        )
    return [path.resolve() for path in found]
