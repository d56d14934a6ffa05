"""Files as other writers leave them, and what is refused before any cell is computed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import sparse

from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.scripts.cli.embed import embed as embed_command
from scgpt_databricks.scripts.cli.embed import embed_file as embed_file_command


@pytest.mark.parametrize("chunk", [-1, 0, 2.5, None])
def test_chunks_without_a_cell_are_refused(
    embedder: Embedder, source: Path, tmp_path: Path, chunk: Any
) -> None:
    with pytest.raises(InvalidRequest, match=f"chunk is {chunk}") as refusal:
        embed_file(source, tmp_path / "out.h5ad", embedder, chunk=chunk)
    assert refusal.value.code == "invalid_chunk"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "a/b", "/", ".", "a\0b", None])
def test_keys_that_a_file_cannot_hold_are_refused(
    embedder: Embedder, source: Path, tmp_path: Path, key: Any
) -> None:
    with pytest.raises(InvalidRequest, match="key of obsm") as refusal:
        embed_file(source, tmp_path / "out.h5ad", embedder, key=key)
    assert refusal.value.code == "invalid_key"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [embed_command, embed_file_command], ids=["embed", "file"])
@pytest.mark.parametrize("chunk", ["-1", "0", "2.5"])
def test_the_commands_refuse_such_chunks_as_wrong_usage(
    checkpoint: Path, source: Path, tmp_path: Path, command: click.Command, chunk: str
) -> None:
    out = str(tmp_path / "out.h5ad")
    args = [str(checkpoint), str(source), "--out", out, "--chunk", chunk]
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 2
    assert "'--chunk'" in result.output


def test_another_ending_is_wrong_usage_and_no_folder_is_not(
    checkpoint: Path, source: Path, tmp_path: Path
) -> None:
    def embedded(out: Path) -> Any:
        return CliRunner().invoke(
            embed_file_command, [str(checkpoint), str(source), "--out", str(out)]
        )

    result = embedded(tmp_path / "out.foo")
    assert result.exit_code == 2
    assert "out.foo has another ending than .h5ad" in " ".join(result.output.split())
    assert embedded(source / "out.h5ad").exit_code == 1


def changed(source: Path, path: Path, change: Callable[[h5py.File], object]) -> Path:
    """A copy of an ``.h5ad``, edited as other writers may have written it."""
    shutil.copyfile(source, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_a_file_without_obsm_and_uns_receives_them(
    embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    def bare(file: h5py.File) -> None:
        for name in ("obsm", "uns", "layers", "obsp", "varm", "varp"):
            file.pop(name, None)

    file = changed(source, tmp_path / "bare.h5ad", bare)
    embed_file(file, tmp_path / "out.h5ad", embedder)
    written = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert written.obsm["X_scGPT"].shape == (50, embedder.config.d_model)
    assert written.uns["scgpt"]["model_digest"] == embedder.digest
    with h5py.File(tmp_path / "out.h5ad") as out:
        assert [out[name].attrs["encoding-type"] for name in ("obsm", "uns")] == ["dict", "dict"]


@pytest.mark.parametrize("what", ["obs", "its index", "its order"])
def test_a_file_whose_obs_cannot_be_written_is_refused_at_the_start(
    embedder: Embedder, source: Path, tmp_path: Path, what: str
) -> None:
    def broken(file: h5py.File) -> None:
        if what == "obs":
            del file["obs"]
        else:
            del file["obs"].attrs["_index" if what == "its index" else "column-order"]

    file = changed(source, tmp_path / "broken.h5ad", broken)
    with pytest.raises(InvalidRequest, match="its obs") as refusal:
        embed_file(file, tmp_path / "out.h5ad", embedder)
    assert refusal.value.code == "not_anndata"
    assert list(tmp_path.iterdir()) == [file]


def halved(file: h5py.File) -> None:
    """``X`` as float16, as compact files hold it."""
    place = "X" if isinstance(file["X"], h5py.Dataset) else "X/data"
    numbers, attrs = file[place][...].astype(np.float16), dict(file[place].attrs)
    del file[place]
    file[place] = numbers
    file[place].attrs.update(attrs)


@pytest.mark.parametrize("is_dense", [False, True], ids=["sparse", "dense"])
def test_float16_is_read(embedder: Embedder, source: Path, tmp_path: Path, is_dense: bool) -> None:
    cells = anndata.read_h5ad(source)
    counts = cells.X.toarray().round()
    cells.X = counts if is_dense else sparse.csr_matrix(counts)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    half = changed(tmp_path / "cells.h5ad", tmp_path / "half.h5ad", halved)
    embed_file(half, tmp_path / "out.h5ad", embedder, chunk=16)
    with h5py.File(tmp_path / "out.h5ad") as out:
        found = out["obsm/X_scGPT"][...]
    expected = embedder.embed_cells(counts, list(cells.var_names)).embeddings
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_transposed_file_is_called_so(embedder: Embedder, tmp_path: Path) -> None:
    cells = pbmc_cells()[:50].copy().T.copy()
    cells.var_names = [f"c{i}" for i in range(50)]
    cells.X = cells.X.tocsr()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InvalidRequest, match="looks transposed") as refusal:
        embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, chunk=16)
    assert refusal.value.code == "no_known_gene"


def outside(file: h5py.File) -> None:
    file["X"]["indices"][-1] = 10_000


def backwards(file: h5py.File) -> None:
    file["X"]["indptr"][2] = -1


def too_far(file: h5py.File) -> None:
    file["X"]["indptr"][2] = 10**6


@pytest.mark.parametrize("damage", [outside, backwards, too_far])
def test_indices_that_lead_nowhere_are_refused(
    embedder: Embedder, source: Path, tmp_path: Path, damage: Callable[[h5py.File], object]
) -> None:
    """Compiled code would read wherever they point."""
    with pytest.raises(InvalidRequest) as refusal:
        embed_file(changed(source, tmp_path / "cells.h5ad", damage), tmp_path / "out", embedder)
    assert refusal.value.code == "invalid_matrix"
    assert not (tmp_path / "out").exists()
