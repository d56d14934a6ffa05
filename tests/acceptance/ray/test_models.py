"""Other kinds of models behind the same API, from a plain `mlflow server`."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.models import infer_signature
from scipy import sparse
from sklearn.linear_model import LinearRegression

from scgpt_databricks.model import pyfunc
from scgpt_databricks.model.build import importable, ship_engine
from scgpt_databricks.model.ray import Settings
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire.codec import encode_cells
from tests.acceptance.ray.conftest import serving
from tests.unit.model.reference import GENES, make_counts, make_model, write_checkpoint

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def log_scgpt(folder: Path, name: str) -> Embedder:
    """Register a small scGPT whose code is the shipped engine."""
    checkpoint = write_checkpoint(folder / "checkpoint", make_model(), flash=True)
    entry = ship_engine(folder)
    with importable(folder / "code"):
        mlflow.pyfunc.log_model(
            name="scgpt",
            python_model=str(entry),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=[str(package) for package in (folder / "code").iterdir()],
            signature=pyfunc.signature(),
            pip_requirements=["mlflow"],
            model_config={"device": "cpu"},
            registered_model_name=name,
        )
    return Embedder.load(checkpoint, device="cpu")


def body_of(counts: np.ndarray, **params: Any) -> dict[str, Any]:
    packed = encode_cells(sparse.csr_matrix(counts), GENES[: counts.shape[1]])
    sent = {"task": "cell_embeddings", **params}
    return {"dataframe_records": [{"packed": packed}], "params": sent}


def test_scgpt_answers_as_the_engine_does_alone_and_in_batches(
    plain_server: str, cluster: int, tmp_path: Path
) -> None:
    embedder = log_scgpt(tmp_path, "scgpt")
    counts = make_counts(16, 10, seed=3)
    wanted = embedder.embed_cells(sparse.csr_matrix(counts), GENES[:10]).embeddings
    with serving(cluster, "scgpt") as served:
        one = served.post(body_of(counts))
        assert one.status_code == 200, one.text
        rows = one.json()
        np.testing.assert_allclose([row["embedding"] for row in rows], wanted, atol=1e-5)
        assert {row["model_digest"] for row in rows} == {embedder.digest}
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda i: served.post(body_of(counts[i : i + 1])), range(16)))
        alone = [answer.json()[0] for answer in found]
        np.testing.assert_allclose([row["embedding"] for row in alone], wanted, atol=1e-5)
        assert {row["input_row"] for row in alone} == {0}
        refused = served.post(body_of(-counts))
        assert (refused.status_code, refused.json()["code"]) == (422, "negative_values")


def test_a_large_request_has_its_turn_among_many_small_ones(
    plain_server: str, cluster: int, tmp_path: Path
) -> None:
    """Ray puts what does not fit into a batch behind all others, again and again."""
    log_scgpt(tmp_path, "busy")
    counts, over = make_counts(16, 10, seed=3), threading.Event()
    tokens = int((counts != 0).sum()) + 16
    with serving(cluster, "busy", settings=Settings(batch_tokens=tokens)) as served:

        def ask_on(i: int) -> list[float]:
            body, took = body_of(counts[i : i + 1]), []
            while not over.is_set():
                took.append(_seconds(lambda: served.post(body)))
            return took

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask_on, i) for i in range(8)]
            try:
                large = [_seconds(lambda: served.post(body_of(counts))) for _ in range(5)]
            finally:
                over.set()
            small = [took for each in asking for took in each.result()]
        assert len(small) > 20
        assert statistics.median(large) < 8 * statistics.median(small)


def _seconds(ask: Callable[[], requests.Response]) -> float:
    started = time.monotonic()
    found = ask()
    assert found.status_code == 200, found.text
    return time.monotonic() - started


def test_an_sklearn_model_serves_its_tensors(plain_server: str, cluster: int) -> None:
    data = pd.DataFrame({"a b": [0.0, 1.0, 2.0], "class": [1.0, 0.0, 1.0]})
    model = LinearRegression().fit(data, [0.0, 1.0, 2.0])
    mlflow.sklearn.log_model(
        model,
        name="m",
        signature=infer_signature(data, model.predict(data)),
        registered_model_name="line",
        serialization_format="cloudpickle",
    )
    with serving(cluster, "line") as served:
        found = served.post([{"a b": 0.5, "class": 1.0}, {"a b": 2.0, "class": 0.0}])
        assert found.status_code == 200, found.text
        np.testing.assert_allclose(found.json(), [0.5, 2.0], atol=1e-6)


MARKED = """
import marker
import mlflow

class Marked(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [{"text": marker.TEXT} for _ in model_input["prompt"]]

mlflow.models.set_model(Marked())
"""


def test_two_versions_with_modules_of_one_name_run_their_own(
    plain_server: str, cluster: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "entry.py").write_text(MARKED)
    for text in ("first", "second"):
        (tmp_path / text).mkdir()
        (tmp_path / text / "marker.py").write_text(f"TEXT = {text!r}\n")
        with monkeypatch.context() as here:
            here.syspath_prepend(tmp_path / text)
            here.delitem(sys.modules, "marker", raising=False)
            mlflow.pyfunc.log_model(
                name="marked",
                python_model=str(tmp_path / "entry.py"),
                code_paths=[str(tmp_path / text / "marker.py")],
                signature=infer_signature(
                    pd.DataFrame({"prompt": ["x"]}), pd.DataFrame({"text": ["x"]})
                ),
                registered_model_name="marked",
                pip_requirements=["mlflow"],
            )
    sys.modules.pop("marker", None)
    with serving(cluster, "marked") as served:
        for _ in range(3):
            found = [served.post({"prompt": "x"}, version).json() for version in ("1", "2")]
            assert found == [[{"text": "first"}], [{"text": "second"}]]
