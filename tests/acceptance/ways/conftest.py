"""A workspace with versions of a small model that were registered by hand: Terraform knows nothing
of it. Environments come later, each in a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.layout import ENVIRONMENTS, ROOT
from tests.acceptance.manifests import write_manifest
from tests.acceptance.serving import register
from tests.acceptance.site import Done, Site

MODEL = "main.scgpt.scgpt_gene_embeddings"
SERVING = "/api/2.0/serving-endpoints"


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("ways"))
    (site.folder / "local.toml").unlink()
    site.start_workspace()
    try:
        unity = "/api/2.1/unity-catalog"
        site.api("POST", f"{unity}/schemas", catalog_name="main", name="scgpt")
        done = run(site, str(register.__file__), MODEL)
        assert json.loads(done.out.splitlines()[-1])[:2] == [1, 2]
        for version in ("1", "2"):
            path = "/api/2.0/mlflow/unity-catalog/model-versions/set-tag"
            site.api("POST", path, name=MODEL, version=version, key="validated", value="true")
        yield site
    finally:
        site.stop_workspace()


@pytest.fixture
def declared(place: Site, tmp_path: Path) -> Path:
    """A folder with the repository's `local.toml` and a manifest that names version 1."""
    folder = tmp_path / "declared"
    folder.mkdir()
    shutil.copy(ENVIRONMENTS / "local.toml", folder)
    (folder / "databrickscfg").symlink_to(place.folder / "databrickscfg")
    write_manifest(settings.load("local", folder), (1, 100))
    return folder


def run(site: Site, *arguments: str, environments: Path | None = None) -> Done:
    """A Python program, with the variables that any Databricks client needs."""
    variables = {
        **site.variables,
        "DATABRICKS_CONFIG_FILE": str(site.folder / "databrickscfg"),
        "DATABRICKS_CONFIG_PROFILE": "local",
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if environments is not None:
        variables["SCGPT_ENVIRONMENTS"] = str(environments)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Done(done.returncode, done.stdout, done.stderr)
