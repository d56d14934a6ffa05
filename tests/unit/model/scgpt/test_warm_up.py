"""What the first request would wait for is done when a model is loaded to be served."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.pyfunc import ScgptModel
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.scgpt.linear import Linear
from tests.unit.model.reference import make_model, write_checkpoint

ROOT = Path(__file__).parents[3]


def packed(embedder: Embedder) -> set[str]:
    """Matrices of the network that were laid out for oneDNN: layer and name."""
    return {
        f"{i} {name}"
        for i, layer in enumerate(embedder.network.layers)
        for name, part in vars(layer).items()
        if isinstance(part, Linear) and "_packed" in vars(part)
    }


def context(checkpoint: Path) -> Any:
    return SimpleNamespace(
        artifacts={"checkpoint": str(checkpoint)}, model_config={"device": "cpu"}
    )


def test_a_served_model_has_its_weights_laid_out(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCGPT_MATMUL", "onednn")
    assert not packed(Embedder.load(checkpoint, device="cpu"))
    model = ScgptModel()
    model.load_context(context(checkpoint))
    n_layers = model.engine.embedder.config.n_layers
    names = ("query", "key_value", "out", "linear1", "linear2")
    needed = {f"{i} {name}" for i in range(n_layers) for name in names}
    looked_up, only_cls = {"0 query", "0 key_value"}, {f"{n_layers - 1} key_value"}
    assert packed(model.engine.embedder) == needed - looked_up - only_cls


def test_what_was_chosen_for_the_machine_is_in_the_log_of_serving(
    checkpoint: Path,
) -> None:
    """A process of its own, as serving is one: there only MLflow's loggers are shown."""
    program = (
        "import sys; from types import SimpleNamespace as Context; import mlflow;"
        "from scgpt_databricks.model.pyfunc import ScgptModel;"
        "ScgptModel().load_context(Context(artifacts={'checkpoint': sys.argv[1]},"
        " model_config={'device': 'cpu'}))"
    )
    unset = {k: v for k, v in os.environ.items() if k != "MLFLOW_LOGGING_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(checkpoint)],
        cwd=ROOT,
        env={**unset, "SCGPT_MATMUL": "torch"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "engine: cpu, torch.float32, matmul torch (" in done.stderr


def test_a_model_that_answers_with_nan_is_not_loaded(tmp_path: Path) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.transformer_encoder.layers[1].linear2.bias[0] = torch.nan
    with pytest.raises(EngineError, match="its weights hold some"):
        ScgptModel().load_context(context(write_checkpoint(tmp_path, broken, flash=True)))
