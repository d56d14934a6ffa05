"""The one importable name."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

import scgpt_databricks
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.model import client
from scgpt_databricks.model.client.batch_inference import batch_inference


def test_the_client_is_at_the_top() -> None:
    assert scgpt_databricks.embed is client.embed
    assert scgpt_databricks.gene_table is client.gene_table
    assert scgpt_databricks.Endpoint is client.Endpoint
    assert scgpt_databricks.batch_inference is batch_inference
    more = {"__version__", "batch_inference"}
    assert {*scgpt_databricks.__all__} == {*client.__all__} | more
    with pytest.raises(AttributeError, match="no attribute 'scgpt'"):
        _ = scgpt_databricks.scgpt


def test_it_knows_its_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert scgpt_databricks.__version__ == project["version"]


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, scgpt_databricks as s; dir(s); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
