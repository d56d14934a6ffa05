"""Files larger than memory: same numbers, resumable, nothing half done."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import anndata
import numpy as np
import pytest
from click.testing import CliRunner
from scipy import sparse

from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.scripts.cli.embed import embed_file as embed_file_command


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


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
    origin = {"endpoint", "model_digest", "model_uri", "served_entities"}
    how = {"matrix", "gene_names", "genes_sha256", "params", "dtype", "versions", "time"}
    assert written["scgpt"].keys() == origin | how
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


@pytest.mark.parametrize("chunk", [1, 2048])
def test_imputed_values_are_refused(embedder: Embedder, tmp_path: Path, chunk: int) -> None:
    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    cells = pbmc_cells()[:10].copy()
    cells.X = np.random.default_rng(0).random(cells.shape, np.float32) + 0.01
    cells.write_h5ad(source)
    with pytest.raises(InvalidRequest, match="10 of 10 cells look imputed"):
        embed_file(source, target, embedder, chunk=chunk)
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
