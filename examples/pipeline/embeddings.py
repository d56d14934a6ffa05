"""The whole source of a declarative pipeline that embeds a table of cells."""

from scgpt_databricks.model.batch.spark.pipeline import define

define()
