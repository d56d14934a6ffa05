"""The name under which Spark keeps how far a model is."""

from __future__ import annotations

import pytest

from scgpt_databricks.model.batch.spark.pipeline import flow_name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("models:/main.cells.scgpt/3", "model_main_cells_scgpt_3"),
        ("/Volumes/main/cells/models/3b/", "model_Volumes_main_cells_models_3b"),
    ],
)
def test_a_flow_is_named_by_its_model(model: str, name: str) -> None:
    assert flow_name(model) == name
