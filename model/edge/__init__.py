"""The model where there is no Databricks and no torch: ONNX, and a package that runs it."""
