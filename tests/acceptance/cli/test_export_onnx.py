"""`scgpt export-onnx`: the package gives the engine's rows where there is no torch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import anndata
import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow import MlflowClient

from scgpt_databricks.model import registry
from scgpt_databricks.model.edge.export import LARGEST_DIFFERENCE, check_quantised
from scgpt_databricks.model.edge.logged import log_beside, version_of
from scgpt_databricks.model.edge.runner import CELLS_MODEL, EdgeModel, padded
from scgpt_databricks.model.errors import BuildError, RegistryError
from scgpt_databricks.model.scgpt.demo import SHIPPED, pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.acceptance.bare import bare_environment
from tests.acceptance.site import Site

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export")
    done = Site(folder / "site").succeed("export-onnx", SHIPPED, "--out", folder / "edge", "--json")
    return folder / "edge", done.json


@pytest.fixture(scope="module")
def pbmc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "pbmc.h5ad"
    pbmc_cells().write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, np.dtype[np.float32]]:
    cells = pbmc_cells()
    embedder = Embedder.load(SHIPPED, device="cpu", precision="float32")
    return embedder.embed_cells(cells.X, [str(name) for name in cells.var_names]).embeddings


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, exported: tuple[Path, dict[str, Any]]) -> Path:
    """The Python of an environment that has the package's requirements alone."""
    requirements = exported[0] / "requirements.txt"
    return bare_environment(requirements, tmp_path_factory.mktemp("bare") / "venv")


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=False)


def test_the_report_says_what_was_measured(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, said = exported
    assert said["cells"] == 700
    assert 0 < said["difference"] <= LARGEST_DIFFERENCE
    assert 0.9 <= said["int8_overlap"] < 1  # it loses something, and says how much
    assert said["bytes"]["cells.int8.onnx"] < said["bytes"]["cells.onnx"]
    measured = json.loads((folder / "edge.json").read_text())["measured"]
    assert measured["int8_overlap"] == said["int8_overlap"]


def test_a_bare_machine_gives_the_engines_rows(
    exported: tuple[Path, dict[str, Any]], bare: Path, pbmc: Path, rows: Any, tmp_path: Path
) -> None:
    done = run(bare, exported[0] / "embed.py", pbmc, "--out", tmp_path / "out.h5ad")
    assert done.returncode == 0, done.stderr
    found = anndata.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_allclose(found.obsm["X_scGPT"], rows, atol=LARGEST_DIFFERENCE)
    assert list(found.obs) == list(anndata.read_h5ad(pbmc).obs)  # a copy of all that was there


def test_a_table_and_int8_on_a_bare_machine(
    exported: tuple[Path, dict[str, Any]], bare: Path, rows: Any, tmp_path: Path
) -> None:
    cells = pbmc_cells()[:20]
    cells.to_df().to_csv(tmp_path / "cells.csv")
    embed = exported[0] / "embed.py"
    for precision in ("float32", "int8"):
        out = tmp_path / f"{precision}.csv"
        done = run(bare, embed, tmp_path / "cells.csv", "--out", out, "--precision", precision)
        assert done.returncode == 0, done.stderr
    read = [pd.read_csv(tmp_path / f"{p}.csv", index_col=0) for p in ("float32", "int8")]
    assert list(read[0].index) == list(cells.obs_names)
    np.testing.assert_allclose(read[0].to_numpy(), rows[:20], atol=LARGEST_DIFFERENCE)
    cosine = (read[1].to_numpy() * rows[:20]).sum(axis=1)
    assert 0.99 < cosine.min() < 1 - 1e-6


def test_a_wrong_file_is_a_sentence_and_leaves_nothing(
    exported: tuple[Path, dict[str, Any]], bare: Path, tmp_path: Path
) -> None:
    (tmp_path / "cells.csv").write_text("cell,Actb,Gapdh\nc0,1,2\n")
    done = run(bare, exported[0] / "embed.py", tmp_path / "cells.csv", "--out", tmp_path / "o.npy")
    assert done.returncode == 1
    assert "none of the 2 genes is in the vocabulary" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]


def test_products_that_stay_in_float32_are_found(exported: tuple[Path, dict[str, Any]]) -> None:
    check_quantised(exported[0] / "cells.int8.onnx", n_layers=3)
    with pytest.raises(BuildError, match="0 products in int8 of 18"):
        check_quantised(exported[0] / "cells.onnx", n_layers=3)


@pytest.mark.parametrize("precision", sorted(CELLS_MODEL))
def test_attention_is_one_node_in_each_layer(
    exported: tuple[Path, dict[str, Any]], precision: str
) -> None:
    graph = onnx.load(exported[0] / CELLS_MODEL[precision]).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("MultiHeadAttention") == 3
    assert "Softmax" not in kinds


def test_a_row_is_the_same_in_a_padded_batch_and_with_any_number_of_threads(
    exported: tuple[Path, dict[str, Any]], rows: Any
) -> None:
    cells = pbmc_cells()
    embedder = Embedder.load(SHIPPED, device="cpu", precision="float32")
    tokens = embedder.tokenize(cells.X, [str(name) for name in cells.var_names])
    many, one = (EdgeModel.load(exported[0], threads=threads) for threads in (4, 1))
    found = many.embed_tokens(tokens)
    np.testing.assert_array_equal(found, one.embed_tokens(tokens))
    some = np.argsort(tokens.lengths())[[0, 100, 350, 699]]  # of four lengths
    assert len(set(tokens.lengths()[some].tolist())) == 4
    (together,) = one.cells.run(None, padded(tokens, some))
    np.testing.assert_allclose(together, rows[some], atol=LARGEST_DIFFERENCE)


def test_a_folder_that_holds_something_is_left_alone(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = Site(tmp_path / "site").scgpt("export-onnx", SHIPPED, "--out", tmp_path)
    assert done.code == 1
    assert "holds something else already" in done.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_it_is_logged_beside_the_version(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, said = exported
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    client = MlflowClient()
    experiment = client.create_experiment("edge", artifact_location=str(tmp_path / "artifacts"))
    run_id = client.create_run(experiment).info.run_id
    client.create_registered_model("scgpt")
    tags = {registry.CHECKPOINT: said["checkpoint_sha256"]}
    client.create_model_version("scgpt", str(tmp_path), run_id=run_id, tags=tags)
    with pytest.raises(RegistryError, match="build one first"):
        version_of("scgpt", "0" * 64)
    uri = log_beside(version_of("scgpt", said["checkpoint_sha256"]), folder)
    inputs = {
        "genes": np.zeros((1, 2), np.int64),
        "values": np.ones((1, 2), np.int64),
        "lengths": np.array([2], np.int64),
    }
    answer = mlflow.pyfunc.load_model(uri).predict(inputs)["cell_embedding"]
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-5)
    below = {file.path for file in client.list_artifacts(run_id, "edge")}
    assert {"edge/embed.py", "edge/cells.int8.onnx"} <= below
