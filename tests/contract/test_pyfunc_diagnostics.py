"""What an endpoint computes on, asked of the endpoint itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scgpt_databricks.scripts.monitoring.device import device
from tests.contract.conftest import Server


def ask(server: Server, value: Any = "", **params: Any) -> Any:
    rows = {"columns": ["packed"], "data": [[value]]}
    body = {"dataframe_split": rows, "params": {"task": "diagnostics", **params}}
    return server.post("/invocations", json=body)


@pytest.mark.parametrize("value", ["", None, "no cells at all"])
def test_device_type_and_torch_are_told_whatever_was_sent(server: Server, value: Any) -> None:
    answer = ask(server, value)
    assert answer.status_code == 200, answer.text
    (line,) = answer.json()["predictions"]
    found = device(line["id"], "CPU")
    assert (found.name, found.precision, found.torch) == ("cpu", "float32", torch.__version__)
    assert len(line["model_digest"]) == 64
    assert line["input_row"] == 0


def test_params_of_other_tasks_are_refused(server: Server) -> None:
    answer = ask(server, genes=["A"])
    assert answer.status_code == 400
    assert "genes is ('A',), but task is diagnostics" in answer.json()["message"]
