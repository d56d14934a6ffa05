"""Results on a file system that takes writes in order only, and no memory maps or locks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import anndata
import numpy as np
import pytest

from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.batch.through_endpoint import embed_file_through
from scgpt_databricks.model.client import about
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.whole_file import takes_any_order
from tests.unit.model.served import Server
from tests.unit.volumes import can_mount, volume

pytestmark = pytest.mark.skipif(not can_mount(), reason="mounting needs root and /dev/fuse")


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    with volume(tmp_path / "volume") as folder:
        yield folder


def read(path: Path, local: Path) -> anndata.AnnData:
    """anndata itself wants locks."""
    return anndata.read_h5ad(shutil.copyfile(path, local / "read.h5ad"))


def test_the_file_system_is_told_from_others(mounted: Path, tmp_path: Path) -> None:
    assert takes_any_order(tmp_path)
    assert not takes_any_order(mounted)
    assert not takes_any_order(Path("/Volumes/main/scgpt/files"))
    assert list(mounted.iterdir()) == []


@pytest.mark.parametrize("name", ["out.h5ad", "out.csv", "out.parquet", "out.npy"])
def test_a_file_is_embedded_onto_it(
    embedder: Embedder,
    source: Path,
    mounted: Path,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)  # each result records its time
    monkeypatch.setattr(about, "datetime", SimpleNamespace(now=lambda _: noon))
    embed_file(source, mounted / name, embedder, chunk=16)
    embed_file(source, tmp_path / name, embedder, chunk=16)
    assert (mounted / name).read_bytes() == (tmp_path / name).read_bytes()
    assert [path.name for path in mounted.iterdir()] == [name]


def test_what_lies_on_it_is_read_and_replaced(
    embedder: Embedder, source: Path, mounted: Path, tmp_path: Path
) -> None:
    cells = mounted / "cells.h5ad"
    cells.write_bytes(source.read_bytes())
    embed_file(cells, cells, embedder, chunk=16)
    found = read(cells, tmp_path)
    wanted = embedder.embed_cells(found.X, list(found.var_names)).embeddings
    np.testing.assert_allclose(found.obsm["X_scGPT"], wanted, atol=1e-6)


def test_a_run_goes_on_there(
    embedder: Embedder, source: Path, mounted: Path, tmp_path: Path
) -> None:
    def stop_at_32(done: int, total: int) -> None:
        if done == 32:
            raise Stop

    target = mounted / "new folder" / "out.h5ad"
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=16, progress=stop_at_32)
    assert embed_file(source, target, embedder, chunk=16).resumed_at == 32
    assert read(target, tmp_path).n_obs == 50


def test_two_runs_onto_one_file(
    embedder: Embedder, source: Path, mounted: Path, tmp_path: Path
) -> None:
    """Without locks the process tells."""
    target = mounted / "out.h5ad"

    def again(done: int, total: int) -> None:
        with pytest.raises(InvalidRequest, match=r"is being written by \S+@\S+ \(process \d+\)"):
            embed_file(source, target, embedder)

    embed_file(source, target, embedder, chunk=16, progress=again)
    assert read(target, tmp_path).n_obs == 50


def test_answers_of_an_endpoint(
    server: Server, source: Path, mounted: Path, tmp_path: Path
) -> None:
    done, report = embed_file_through(source, mounted / "out.h5ad", server.endpoint, chunk=25)
    assert (done.cells, report.requests) == (50, 2)
    assert read(mounted / "out.h5ad", tmp_path).obsm["X_scGPT"].shape == (50, 2)
