"""`scgpt smoke` says what the endpoint computes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from scgpt_databricks.model.client import Report
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.scripts import embed as module
from scgpt_databricks.scripts.cli.main import cli

LINE = (
    "engine: cuda:0, torch.bfloat16, matmul torch (x), 9 tokens a batch, torch 2.7.1+cu126 (A10G)"
)


class Conversation:
    """A version that knows the task `diagnostics`, or one from before it."""

    def __init__(self, line: str | None) -> None:
        self._line = line

    def ask(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        assert body["params"] == {"task": "diagnostics"}
        if self._line is None:
            raise InvalidRequest("invalid_param", "task is 'diagnostics'")
        return [{"id": self._line}]


@pytest.mark.parametrize(
    ("line", "said"),
    [(LINE, "; on cuda:0 (bfloat16, torch 2.7.1+cu126)"), (None, "model dddddddddddd\n")],
)
def test_device_type_and_torch_are_told(
    line: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def embedded(cells: Any, endpoint: object, **_: object) -> Report:
        cells.obsm[module.OBSM_KEY] = np.tile([[0.6, 0.8]], (cells.n_obs, 1))
        return Report(1, "d" * 64, ("scgpt-1",))

    settings = SimpleNamespace(workload_type="GPU_MEDIUM")
    monkeypatch.setattr(module, "load", lambda environment, folder: settings)
    monkeypatch.setattr(module, "_check_ready", lambda settings: None)
    monkeypatch.setattr(module, "endpoint_of", lambda settings: "endpoint")
    monkeypatch.setattr(module, "embed", embedded)
    monkeypatch.setattr(module, "converse", lambda endpoint, work: work(Conversation(line)))
    done = CliRunner().invoke(cli, ["smoke", "dev"], catch_exceptions=False)
    assert done.exit_code == 0
    assert said in done.output
