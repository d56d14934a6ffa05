"""`scgpt ray serve` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.model.ray.log import SCHEMA
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import encode_cells
from tests.acceptance.ray.conftest import MODEL, answers, until
from tests.acceptance.site import SCGPT, Site

pytestmark = [pytest.mark.acceptance, pytest.mark.long]
SLOW = {"prompt": "slow"}


@contextmanager
def command(
    folder: Path, variables: Mapping[str, str], *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`scgpt ray serve ...` once it is ready, and its address."""
    port = free_port()
    with (folder / "out").open("w") as out:
        process = subprocess.Popen(
            [SCGPT, "ray", "serve", *arguments, "--port", str(port), "--json"],
            env={**os.environ, **variables},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/health/ready") or process.poll() is not None, 300)
        assert process.poll() is None, (folder / "out").read_text()
        yield process, url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_the_command_answers_what_runs_before_it_ends(
    plain_server: str, tmp_path: Path, told: signal.Signals
) -> None:
    where = {"MLFLOW_TRACKING_URI": plain_server}
    with command(tmp_path, where, f"{MODEL}/1") as (process, url):
        with ThreadPoolExecutor(4) as pool:
            running = [
                pool.submit(requests.post, f"{url}/serve", json=SLOW, timeout=60) for _ in range(3)
            ]
            next(as_completed(running))  # the others wait for their turn: each takes 2 s
            # Ctrl-C reaches every process of the terminal, Ray's own among them.
            tell = os.killpg if told == signal.SIGINT else os.kill
            tell(process.pid, told)
            assert [each.result().status_code for each in running] == [200, 200, 200]
        assert process.wait(120) == 0
        assert "Traceback" not in (tmp_path / "out").read_text()


def test_a_model_of_the_local_workspace_and_its_log_in_the_watch(
    tmp_path: Path, demo_checkpoints: Path
) -> None:
    site = Site(tmp_path / "site")
    try:
        site.start_workspace()
        site.succeed("deploy", "local")
        site.succeed("build", "local", "--checkpoint", demo_checkpoints / "checkpoint")
        table = "main.scgpt.scgpt_inference_payload"
        _sql(site, f"CREATE TABLE {table} ({', '.join(map(_column, SCHEMA))})")
        place = site.api("GET", f"/api/2.1/unity-catalog/tables/{table}")["storage_location"]
        where = {
            "DATABRICKS_CONFIG_FILE": str(site.folder / "databrickscfg"),
            "DATABRICKS_CONFIG_PROFILE": "local",
            "MLFLOW_TRACKING_URI": "databricks",
            "MLFLOW_REGISTRY_URI": "databricks-uc",
            "SCGPT_RAY_TOKEN": "s3cret",
        }
        model = "main.scgpt.scgpt_gene_embeddings"
        with command(tmp_path, where, f"{model}/1", "--log-table", place) as (process, url):
            cells = pbmc_cells()[:20]
            packed = encode_cells(cells.X, list(cells.var_names))
            right = {"Authorization": "Bearer s3cret"}
            for body, headers, status in (
                ({"packed": packed}, {}, 401),
                ({"packed": packed}, right, 200),
                ([{"packed": packed}], right, 200),
                ({"packed": "x"}, right, 422),
            ):
                found = requests.post(f"{url}/serve", json=body, headers=headers, timeout=300)
                assert found.status_code == status, found.text
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(120) == 0
        assert "s3cret" not in (tmp_path / "out").read_text()
        site.succeed("monitor", "init", "local")
        done = site.succeed("monitor", "unpack", "local", "--json").json
        assert (done["requests"], done["cells"], done["set_aside"]) == (3, 40, 0)
        asked = f"SELECT version, reason FROM {table.removesuffix('payload')}requests"
        rows = _sql(site, asked)["result"]["data_array"]
        assert sorted(rows, key=str) == [["1", "packed_base64"], ["1", None], ["1", None]]
        sections = site.succeed("report", "local", "--json").json["sections"]
        assert not sections["per_hour"]["problem"], json.dumps(sections["per_hour"])
        assert sections["per_hour"]["rows"]
    finally:
        site.stop_workspace()


def _column(field: Any) -> str:
    kinds = {"int64": "BIGINT", "int32": "INT", "date32[day]": "DATE", "string": "STRING"}
    more = {"double": "DOUBLE", "list<item: string>": "ARRAY<STRING>"}
    return f"{field.name} {(kinds | more).get(str(field.type), 'TIMESTAMP')}"


def _sql(site: Site, statement: str) -> dict[str, Any]:
    (warehouse, *_) = site.api("GET", "/api/2.0/sql/warehouses")["warehouses"]
    found = site.api(
        "POST", "/api/2.0/sql/statements", warehouse_id=warehouse["id"], statement=statement
    )
    assert found["status"]["state"] == "SUCCEEDED", found
    return found
