"""The scGPT single-cell foundation model as governed infrastructure on Databricks."""
