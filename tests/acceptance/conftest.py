from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra.layout import RUNTIME
from scgpt_databricks.model.scgpt.demo import random_checkpoint, train
from tests.acceptance.site import Site


@pytest.fixture(scope="session")
def demo_checkpoints(request: pytest.FixtureRequest) -> Path:
    """`checkpoint` and `random`, from a quickstart where there was one, else trained and kept."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("demo")
    with folder.with_suffix(".lock").open("w") as lock:  # of two processes, one makes them
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (RUNTIME / "demo").is_dir() and not any(folder.iterdir()):
            shutil.copytree(RUNTIME / "demo", folder, dirs_exist_ok=True)
        train(folder / "checkpoint")  # nothing to do when the recipe is still the same
        random_checkpoint(folder / "random")
    return folder


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory, demo_checkpoints: Path) -> Iterator[Site]:
    """A place where `scgpt quickstart` has been run once; its workspace is up."""
    site = Site(tmp_path_factory.mktemp("quickstart"))
    shutil.copytree(demo_checkpoints, site.folder / "demo")
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
