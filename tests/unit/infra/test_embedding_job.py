"""The job over tables of cells: declared where a table is named, with the version that is live."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cdktf import Testing as Cdk

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.bindings import App, TerraformStack
from scgpt_databricks.infra.errors import SettingsError
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.infra.main import build
from scgpt_databricks.infra.wheel import TABLES_ENTRY_POINTS, tables_wheel
from scgpt_databricks.local_workspace.stand_in_provider.jobs import JOB
from tests.unit.infra.manifests import champion
from tests.unit.infra.provider_schema import mistakes
from tests.unit.infra.synthesis import FULL

CLUSTER = 'node_type = "m6i.2xlarge"\ncores_per_task = 8\n'


def jobs(folder: Path, batch: str) -> dict[str, Any]:
    """Return the jobs of the serving stack, by logical id."""
    made = resources(folder, batch)
    assert mistakes(made) == []
    return made["resource"].get("databricks_job", {})  # type: ignore[no-any-return]


def resources(folder: Path, batch: str) -> dict[str, Any]:
    """Return the serving stack."""
    (folder / "lab.toml").write_text(f"{FULL}\n[batch]\n{batch}")
    environment = settings.load("lab", folder)
    app = App(outdir=str(folder / "out"))
    build(app, environment, champion(environment))
    stack = app.node.find_child("lab-serving")
    assert isinstance(stack, TerraformStack)
    return json.loads(Cdk.synth(stack))  # type: ignore[no-any-return]


def test_the_job_embeds_new_cells_with_the_live_version(tmp_path: Path) -> None:
    job = jobs(tmp_path, f'cells = "lab.cells.raw"\n{CLUSTER}gpus_per_task = 1\n')["embedding_job"]
    (task,) = job["task"]
    given = task["python_wheel_task"]
    words = dict(zip(given["parameters"][::2], given["parameters"][1::2], strict=True))
    assert words["--model"] == "models:/lab.scgpt.scgpt_gene_embeddings/3"
    assert words["--cells"] == "lab.cells.raw"
    assert words["--embeddings"] == "lab.cells.raw_scgpt"
    assert words["--checkpoint"].startswith("/Volumes/lab/scgpt/")
    assert given["entry_point"] in TABLES_ENTRY_POINTS
    built = tables_wheel()
    assert task["library"][0] == {
        "whl": f"/Volumes/lab/scgpt/artifacts/wheels/{built.sha256}/{built.file_name}"
    }
    cluster = job["job_cluster"][0]["new_cluster"]
    assert cluster["spark_conf"] == {
        "spark.task.cpus": "8",
        "spark.task.resource.gpu.amount": "1",
    }
    assert "continuous" not in job
    assert job["schedule"]["quartz_cron_expression"] == "0 0 3 * * ?"


def test_a_stream_runs_for_good(tmp_path: Path) -> None:
    job = jobs(tmp_path, f'cells = "lab.cells.raw"\nstream = true\npause = true\n{CLUSTER}')
    assert job["embedding_job"]["continuous"] == {"pause_status": "PAUSED"}
    assert "schedule" not in job["embedding_job"]
    assert "--every" in job["embedding_job"]["task"][0]["python_wheel_task"]["parameters"]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_pipeline_takes_the_place_of_the_job(tmp_path: Path, stream: str) -> None:
    more = f"stream = {stream}\npipeline = true\ngpus_per_task = 1\n"
    made = resources(tmp_path, f'cells = "lab.cells.raw"\n{CLUSTER}{more}')["resource"]
    pipeline = made["databricks_pipeline"]["embedding_pipeline"]
    assert (pipeline["catalog"], pipeline["schema"]) == ("lab", "cells")
    assert pipeline["continuous"] is (stream == "true")
    assert pipeline["configuration"] == {
        "scgpt.cells": "lab.cells.raw",
        "scgpt.embeddings": "lab.cells.raw_scgpt",
        "scgpt.model": "models:/lab.scgpt.scgpt_gene_embeddings/3",
        "scgpt.files_per_commit": "100",
    }
    built = tables_wheel()
    assert pipeline["environment"]["dependencies"][0].endswith(f"{built.sha256}/{built.file_name}")
    (source,) = made["databricks_workspace_file"].values()
    example = (ROOT / "examples" / "pipeline" / "embeddings.py").read_text()
    assert example.endswith(base64.b64decode(source["content_base64"]).decode())
    if stream == "true":
        assert "databricks_job" not in made
    else:
        task = made["databricks_job"]["embedding_job"]["task"][0]
        assert "embedding_pipeline.id" in task["pipeline_task"]["pipeline_id"]


def test_no_table_means_no_job(tmp_path: Path) -> None:
    assert jobs(tmp_path, "workers = 3\n") == {}


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ('cells = "lab.cells.raw"', "node_type is missing"),
        ('cells = "raw"', "catalog.schema.table"),
        (f'cells = "a.b.c"\nembeddings = "a.b.c"\n{CLUSTER}', "one table"),
        ("workers = 0", "workers"),
    ],
)
def test_a_job_that_cannot_run_is_refused(tmp_path: Path, batch: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        jobs(tmp_path, batch)


def test_the_stand_in_provider_knows_all_that_the_job_declares(tmp_path: Path) -> None:
    job = jobs(tmp_path, f'cells = "lab.cells.raw"\n{CLUSTER}')["embedding_job"]
    assert set(job) <= {*JOB.attributes, *JOB.blocks}
    assert set(job["task"][0]) <= {
        *JOB.blocks["task"].block.attributes,
        *JOB.blocks["task"].block.blocks,
    }


def test_the_entry_point_runs_from_the_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(tables_wheel().content)) as archive:
        archive.extractall(tmp_path)
    module, function = TABLES_ENTRY_POINTS["scgpt-embed-table"].split(":")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module} as module; "
        f"from scgpt_databricks.model.batch.spark import convert; import scgpt_databricks as us; "
        f"print(us.__file__); from scgpt_databricks.model.scgpt import engine, embedder; "
        f"module.{function}(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert "--cells" in done.stdout
