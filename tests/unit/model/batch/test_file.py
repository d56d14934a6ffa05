"""Files larger than memory: same numbers, resumable, nothing half done."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest

from model.batch.file import embed_file
from model.demo import Recipe, pbmc_cells, random_checkpoint
from model.embedder import Embedder
from model.errors import InvalidRequest


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder.load(random_checkpoint(tmp_path_factory.mktemp("ck") / "c", Recipe(steps=0)))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    pbmc_cells()[:50].copy().write_h5ad(path)
    return path


def test_the_copy_holds_what_the_engine_gives(
    embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    cells = anndata.read_h5ad(source)
    expected = embedder.embed_cells(cells.X, list(cells.var_names))
    report = embed_file(source, tmp_path / "out.h5ad", embedder, chunk=16)
    written = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert report.cells == 50
    np.testing.assert_allclose(written.obsm["X_scGPT"], expected.embeddings, atol=1e-6)
    assert list(written.obs["scgpt_matched_genes"]) == list(expected.matched)
    assert list(written.obs_names) == list(cells.obs_names)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5ad"]


def test_a_stopped_run_goes_on_where_it_was(
    embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    def stop_at_32(done: int, total: int) -> None:
        if done == 32:
            raise Stop

    target = tmp_path / "out.h5ad"
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=16, progress=stop_at_32)
    assert not target.exists()
    seen: list[int] = []
    report = embed_file(
        source, target, embedder, chunk=16, progress=lambda done, total: seen.append(done)
    )
    assert (report.resumed_at, seen) == (32, [48, 50])
    whole = tmp_path / "whole.h5ad"
    embed_file(source, whole, embedder, chunk=16)
    ours, theirs = (anndata.read_h5ad(path).obsm["X_scGPT"] for path in (target, whole))
    np.testing.assert_array_equal(ours, theirs)


def test_another_file_starts_anew(embedder: Embedder, source: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Stop

    target = tmp_path / "out.h5ad"
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=16, progress=stop)
    other = tmp_path / "other.h5ad"
    pbmc_cells()[50:80].copy().write_h5ad(other)
    report = embed_file(other, target, embedder, chunk=16)
    assert (report.cells, report.resumed_at) == (30, 0)


def test_no_cell_and_columns_are_refused(embedder: Embedder, tmp_path: Path) -> None:
    empty = tmp_path / "empty.h5ad"
    pbmc_cells()[:0].copy().write_h5ad(empty)
    with pytest.raises(InvalidRequest, match="no cell"):
        embed_file(empty, tmp_path / "out.h5ad", embedder)
    columns = tmp_path / "columns.h5ad"
    cells = pbmc_cells()[:5].copy()
    cells.X = cells.X.tocsc()
    cells.write_h5ad(columns)
    with pytest.raises(InvalidRequest, match="tocsr"):
        embed_file(columns, tmp_path / "out.h5ad", embedder)
