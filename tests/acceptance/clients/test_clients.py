"""Every example of a client that can run here, against one endpoint of the local workspace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from databricks.sdk import WorkspaceClient

from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import encode_cells
from tests.acceptance.site import Site, free_port, wait_until

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

ENDPOINT = "scgpt-serving"
MODEL = "models:/main.scgpt.scgpt_gene_embeddings/1"
CLIENTS = ROOT / "examples" / "clients"
CELLS = ["T", "NK", "B", "monocyte"]
WAREHOUSE = "0123456789abcdef"


@pytest.fixture(scope="module")
def variables(quickstart: Site) -> dict[str, str]:
    """What a shell needs after `scgpt env`, and what examples without an SDK need."""
    return {
        **quickstart.variables,
        "DATABRICKS_CONFIG_FILE": str(quickstart.folder / "databrickscfg"),
        "DATABRICKS_CONFIG_PROFILE": "local",
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture(scope="module")
def by_token(quickstart: Site) -> dict[str, str]:
    return {
        **quickstart.variables,
        "DATABRICKS_HOST": quickstart.url,
        "DATABRICKS_TOKEN": quickstart.token(),
    }


@pytest.fixture(scope="module")
def client(quickstart: Site) -> WorkspaceClient:
    return WorkspaceClient(config_file=str(quickstart.folder / "databrickscfg"), profile="local")


def run(environment: Mapping[str, str], *command: str | Path) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def lines_of(predictions: list[dict[str, Any]]) -> list[str]:
    return [
        f"{line['id']} {len(line['embedding'])} {line['model_digest'][:12]}" for line in predictions
    ]


def test_http_clients_get_one_answer(
    by_token: dict[str, str], variables: dict[str, str], quickstart: Site
) -> None:
    answer = json.loads(run(by_token, "bash", CLIENTS / "curl.sh", ENDPOINT))
    wanted = lines_of(answer["predictions"])
    assert [line.split()[:2] for line in wanted] == [[cell, "64"] for cell in CELLS]
    for environment, module, times in [
        (by_token, "with_requests", 1),
        (variables, "with_sdk", 2),
        (variables, "with_mlflow", 1),
    ]:
        said = run(environment, sys.executable, "-m", f"examples.clients.{module}", ENDPOINT)
        quickstart.check_silence(said)
        assert said.splitlines() == wanted * times, module


def test_a_refusal_ends_an_example_with_its_reason(by_token: dict[str, str]) -> None:
    for command in (
        ("bash", str(CLIENTS / "curl.sh"), "nobody"),
        (sys.executable, "-m", "examples.clients.with_requests", "nobody"),
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=by_token, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode
        assert "nobody" in done.stdout + done.stderr


def test_the_guides_own_request(by_token: dict[str, str]) -> None:
    said = run(by_token, sys.executable, "-m", "examples.clients.guide", ENDPOINT).splitlines()
    assert [line.split()[1] for line in said[:3]] == ["64"] * 3
    assert int(said[-1].split()[0]) > 50


def test_cells_of_a_delta_table_are_embedded_in_sql(client: WorkspaceClient) -> None:
    adata = pbmc_cells()[:5].copy()
    embed(adata, Endpoint.of(ENDPOINT, client))
    sql(client, "CREATE TABLE main.scgpt.cells (cell_id STRING, packed STRING)")
    genes = list(adata.var_names)
    for row, name in enumerate(adata.obs_names):
        packed = encode_cells(adata.X[row], genes, [name])
        sql(client, f"INSERT INTO main.scgpt.cells VALUES ('{name}', '{packed}')")
    sql(client, "INSERT INTO main.scgpt.cells VALUES ('broken', 'no cell')")
    text = (CLIENTS / "ai_query.sql").read_text()
    statements = [each for each in text.split(";\n") if each.strip()]
    counted = [sql(client, each) for each in statements][-1]
    assert counted == [["6", "1", "1"]]
    rows = sql(client, "SELECT cell_id, embedding, error FROM main.scgpt.vectors")
    found = {name: (vector, error) for name, vector, error in rows}
    assert "answered 400" in str(found.pop("broken")[1])
    vectors = np.array([json.loads(found[name][0] or "") for name in adata.obs_names])
    np.testing.assert_allclose(vectors, adata.obsm["X_scGPT"], atol=1e-5)


def sql(client: WorkspaceClient, statement: str) -> list[list[str | None]]:
    found = client.statement_execution.execute_statement(statement, WAREHOUSE, wait_timeout="50s")
    assert found.status is not None
    assert found.status.state is not None
    assert found.status.state.value == "SUCCEEDED", found.status.error
    rows: Any = (found.result and found.result.data_array) or []
    return list(rows)


def test_the_notebook_asks_the_endpoint(variables: dict[str, str], tmp_path: Path) -> None:
    cells = tmp_path / "cells.h5ad"
    pbmc_cells()[:80].copy().write_h5ad(cells)
    given = (f"endpoint={ENDPOINT}", f"cells={cells}")
    said = run(variables, sys.executable, "-m", "examples.notebook", *given)
    assert json.loads(said.splitlines()[-1])["cells"] == 80
    assert "CD3D: nearest of these is" in said


def test_a_version_runs_without_databricks(variables: dict[str, str], tmp_path: Path) -> None:
    mlflow = Path(sys.executable).with_name("mlflow")
    with served(variables, mlflow) as url:
        answer = requests.post(
            f"{url}/invocations",
            data=(CLIENTS / "request.json").read_bytes(),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert [line.split()[0] for line in lines_of(answer.json()["predictions"])] == CELLS
    image = tmp_path / "image"
    made = ("generate-dockerfile", "-m", MODEL, "-d", image, "--env-manager", "virtualenv")
    run(variables, mlflow, "models", *made)
    assert "serve" in (image / "Dockerfile").read_text()
    assert list(image.rglob("MLmodel"))


@contextmanager
def served(variables: dict[str, str], mlflow: Path) -> Iterator[str]:
    port = free_port()
    command = [str(mlflow), "models", "serve", "-m", MODEL]
    process = subprocess.Popen(
        [*command, "--env-manager", "local", "--port", str(port)],
        env=variables,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the server has ended"
        try:
            return requests.get(f"{url}/ping", timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, 240)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
