"""The declarative pipeline: a streaming table with an embedding of each cell of another table.

It runs on Databricks and by Spark's own ``spark-pipelines``. Its source is one line, which calls
``define``; its configuration names the tables and the model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .embed import MODEL_DIGEST
from .engines import find_model
from .job import Job, cells_stream, embedded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CELLS, MODEL, EMBEDDINGS = "scgpt.cells", "scgpt.model", "scgpt.embeddings"
FILES = "scgpt.files_per_commit"


def define() -> None:
    """Define the table of embeddings, and the flow that fills it.

    The configuration has ``scgpt.cells``, the table of cells, and ``scgpt.model``, as
    ``find_model`` takes it; ``scgpt.embeddings`` is the name of the table, and
    ``scgpt.files_per_commit`` says how many files of cells one commit takes at most. A model of
    another name is another flow: it embeds all cells anew, beside the rows of the one before.
    """
    from pyspark import pipelines
    from pyspark.sql import SparkSession

    spark = SparkSession.active()
    cells, name = spark.conf.get(CELLS), spark.conf.get(MODEL)
    target = spark.conf.get(EMBEDDINGS, "embeddings")
    model = find_model(spark, str(name))
    # Made here, because Spark looks at the columns for it, which it may not do inside the flow.
    files = int(str(spark.conf.get(FILES, str(Job.files_per_commit))))
    rows = embedded(cells_stream(spark, str(cells), files), model)
    pipelines.create_streaming_table(str(target), partition_cols=[MODEL_DIGEST])

    @pipelines.append_flow(target=str(target), name=flow_name(str(name)))
    def _flow() -> DataFrame:
        return rows


def flow_name(model: str) -> str:
    """Return the name of the flow of a model; Spark keeps how far a flow is by its name."""
    return "model_" + re.sub(r"\W+", "_", model.removeprefix("models:/")).strip("_")
