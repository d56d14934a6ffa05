"""Files larger than memory: same numbers, resumable, nothing half done."""

from __future__ import annotations

import shutil
import tracemalloc
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

from model.batch.file import embed_file
from model.demo import Recipe, pbmc_cells, random_checkpoint
from model.embedder import Embedder
from model.errors import InvalidRequest
from scripts.cli.embed import embed as embed_command
from scripts.cli.embed import embed_file as embed_file_command


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("ck") / "c", Recipe(steps=0))


@pytest.fixture(scope="module")
def embedder(checkpoint: Path) -> Embedder:
    return Embedder.load(checkpoint)


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
    for name in ("matched", "unknown", "truncated"):
        assert list(written.obs[f"scgpt_{name}_genes"]) == list(getattr(expected, name))
    assert list(written.obs_names) == list(cells.obs_names)
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5ad"]


def test_the_copy_names_its_model(embedder: Embedder, tmp_path: Path) -> None:
    """As a file embedded through an endpoint does; and what an earlier one said is replaced."""
    cells = pbmc_cells()[:5].copy()
    cells.uns["scgpt"] = {"model_digest": "another", "endpoint": "there"}
    cells.write_h5ad(tmp_path / "cells.h5ad")
    embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder)
    written = anndata.read_h5ad(tmp_path / "out.h5ad").uns
    assert written["scgpt"].keys() == {"endpoint", "model_digest", "served_entities"}
    assert written["scgpt"]["model_digest"] == embedder.digest
    assert written["scgpt"]["endpoint"] == ""
    assert len(written["scgpt"]["served_entities"]) == 0
    assert written.keys() == cells.uns.keys()


def test_nothing_but_the_matrix_comes_into_memory(embedder: Embedder, tmp_path: Path) -> None:
    ballast = 4_000_000  # numbers: 32 MB of each kind, next to nothing in the file
    cells = pbmc_cells()[:50].copy()
    cells.uns["ballast"] = np.zeros(ballast)
    cells.obsm["ballast"] = np.zeros((50, ballast // 50))
    cells.write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
    tracemalloc.start()
    try:
        embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, chunk=16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16e6
    assert anndata.read_h5ad(tmp_path / "out.h5ad").obsm["ballast"].shape == (50, 80_000)


def test_a_dense_matrix_gives_the_same(embedder: Embedder, source: Path, tmp_path: Path) -> None:
    cells = anndata.read_h5ad(source)
    cells.X = cells.X.toarray()
    cells.write_h5ad(tmp_path / "dense.h5ad")
    for path in (source, tmp_path / "dense.h5ad"):
        embed_file(path, tmp_path / f"out-{path.name}", embedder, chunk=16)
    ours, theirs = (
        anndata.read_h5ad(tmp_path / f"out-{name}").obsm["X_scGPT"]
        for name in ("dense.h5ad", source.name)
    )
    np.testing.assert_array_equal(ours, theirs)


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


def test_another_precision_starts_anew(
    checkpoint: Path, embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        raise Stop

    target = tmp_path / "out.h5ad"
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=16, progress=stop)
    half = Embedder.load(checkpoint, precision="bfloat16")
    assert embed_file(source, target, half, chunk=16).resumed_at == 0


def test_unknown_genes_are_judged_of_the_first_chunk_that_has_counts(
    embedder: Embedder, tmp_path: Path
) -> None:
    cells = pbmc_cells()[:40].copy()
    cells.X = sparse.vstack([sparse.csr_matrix((16, cells.n_vars)), cells.X[16:]], format="csr")
    cells.var_names = [*cells.var_names[:20], *(f"X{i}" for i in range(20, cells.n_vars))]
    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    cells.write_h5ad(source)
    with pytest.raises(InvalidRequest, match="of the counts lie in known genes") as refusal:
        embed_file(source, target, embedder, chunk=16)
    assert refusal.value.code == "too_few_known_genes"
    assert list(tmp_path.iterdir()) == [source]
    embed_file(source, target, embedder, chunk=16, min_known_fraction=0)
    assert anndata.read_h5ad(target).obs["scgpt_unknown_genes"].max() > 0


def test_a_later_chunk_is_not_judged(embedder: Embedder, tmp_path: Path) -> None:
    """Some cells with few known genes must not undo a night's work."""
    cells = pbmc_cells()[:40].copy()
    values = cells.X.toarray()
    values[16:, :700] = 0
    cells.X = sparse.csr_matrix(values)
    cells.var_names = [*cells.var_names[:700], *(f"X{i}" for i in range(700, cells.n_vars))]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    report = embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, chunk=16)
    assert report.cells == 40


def test_imputed_values_are_refused(embedder: Embedder, tmp_path: Path) -> None:
    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    cells = pbmc_cells()[:10].copy()
    cells.X = np.random.default_rng(0).random(cells.shape, np.float32) + 0.01
    cells.write_h5ad(source)
    with pytest.raises(InvalidRequest, match="10 of 10 cells look imputed"):
        embed_file(source, target, embedder)
    assert embed_file(source, target, embedder, allow_imputed=True).cells == 10


def test_an_impossible_share_and_no_matrix_are_refused(
    embedder: Embedder, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=r"min_known_fraction is 1\.5"):
        embed_file(source, tmp_path / "out.h5ad", embedder, min_known_fraction=1.5)
    text = tmp_path / "cells.csv"
    text.write_text("cell,LYZ\n")
    with pytest.raises(InvalidRequest, match="is no AnnData file"):
        embed_file(text, tmp_path / "out.h5ad", embedder)
    empty = tmp_path / "empty.h5ad"
    anndata.AnnData(obs=pbmc_cells()[:5].obs).write_h5ad(empty)
    with pytest.raises(InvalidRequest, match="no X"):
        embed_file(empty, tmp_path / "out.h5ad", embedder)


def test_the_command_hands_the_judgements_on(checkpoint: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    cells = pbmc_cells()[:10].copy()
    cells.X = np.random.default_rng(0).random(cells.shape, np.float32) + 0.01
    cells.var_names = [*cells.var_names[:20], *(f"X{i}" for i in range(20, cells.n_vars))]
    cells.write_h5ad(source)
    args = [str(checkpoint), str(source), "--out", str(target), "--json"]

    def refused(*options: str) -> str:
        result = CliRunner().invoke(embed_file_command, [*args, *options])
        assert isinstance(result.exception, InvalidRequest)
        return result.exception.code

    assert refused() == "too_few_known_genes"
    assert refused("--min-known-fraction", "0") == "imputed_values"
    result = CliRunner().invoke(
        embed_file_command, [*args, "--min-known-fraction", "0", "--allow-imputed"]
    )
    assert result.exit_code == 0, result.output
    assert target.exists()


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
