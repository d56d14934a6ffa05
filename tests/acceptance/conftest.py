from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import copy_shipped, random_checkpoint
from tests.acceptance.site import Site


@pytest.fixture(scope="session")
def demo_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`checkpoint` and `random`."""
    folder = tmp_path_factory.mktemp("demo")
    copy_shipped(folder / "checkpoint")
    random_checkpoint(folder / "random")
    return folder


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place where `scgpt quickstart` has been run once; its workspace is up."""
    site = Site(tmp_path_factory.mktemp("quickstart"))
    try:
        done = site.succeed("quickstart", "--port", str(site.port), "--json", limit_s=400)
        (site.folder / "first.json").write_text(done.out)
        yield site
    finally:
        site.stop_workspace()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place with a workspace, a schema and a registered model, and nothing else."""
    site = Site(tmp_path_factory.mktemp("registry"))
    try:
        site.start_workspace()
        unity = "/api/2.1/unity-catalog"
        names = {"catalog_name": "main", "schema_name": "scgpt"}
        site.api("POST", f"{unity}/schemas", catalog_name="main", name="scgpt")
        site.api("POST", f"{unity}/models", **names, name="scgpt_gene_embeddings")
        yield site
    finally:
        site.stop_workspace()
