"""Runs that are stopped anywhere, and sources that change under them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest

from scgpt_databricks.model.batch import result
from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


def stop(done: int, cells: int) -> None:
    raise Stop


def replaced(source: Path) -> None:
    other = source.with_name("other.h5ad")
    pbmc_cells()[100:150].copy().write_h5ad(other)
    other.replace(source)


def written_to(source: Path) -> None:
    with source.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(first)  # its time alone says so


@pytest.mark.parametrize("change", [replaced, written_to])
def test_a_source_that_changes_meanwhile_is_refused(
    embedder: Embedder, source: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """The rows would be those of the cells that were there before."""
    cells = tmp_path / "cells.h5ad"
    shutil.copy(source, cells)
    with pytest.raises(InvalidRequest) as refusal:
        embed_file(
            cells, tmp_path / "out.h5ad", embedder, progress=lambda done, total: change(cells)
        )
    assert refusal.value.code == "source_changed"
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]
    embed_file(cells, tmp_path / "out.h5ad", embedder)
    found = anndata.read_h5ad(tmp_path / "out.h5ad")
    wanted = embedder.embed_cells(found.X, list(found.var_names)).embeddings
    np.testing.assert_allclose(found.obsm["X_scGPT"], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("job.json", "[]"),
        ("job.json", "{"),
        ("job.json", '{"digest": "another"}'),
        ("000000000000-000000000016.rows", None),
        ("000000000000-000000000016.rows", "half"),
    ],
)
def test_a_damaged_folder_starts_anew(
    embedder: Embedder, source: Path, tmp_path: Path, damaged: str, said: str | None
) -> None:
    target = tmp_path / "out.h5ad"
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=16, progress=stop)
    file = tmp_path / "out.h5ad.unfinished" / damaged
    if said is None:
        file.unlink()
    else:
        file.write_text(said)
    assert embed_file(source, target, embedder, chunk=16).resumed_at == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5ad"]


def test_a_stop_in_the_last_stage_loses_nothing(
    embedder: Embedder, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.h5ad"

    def cut(*args: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(result, "_put_into", cut)
        with pytest.raises(Stop):
            embed_file(source, target, embedder, chunk=16)
    assert not target.exists()
    assert embed_file(source, target, embedder, chunk=16).resumed_at == 50
    assert anndata.read_h5ad(target).obsm["X_scGPT"].shape[0] == 50


def test_a_target_that_is_a_folder_is_refused_at_the_start(
    embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        embed_file(source, tmp_path, embedder, progress=stop)
    assert refusal.value.code == "invalid_target"
