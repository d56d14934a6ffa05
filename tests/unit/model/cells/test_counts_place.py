"""Counts that are not in ``X``: of an AnnData, and of a file of any size."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from scgpt_databricks.model.batch.file import embed_file
from scgpt_databricks.model.cells.counts_place import CountsPlace
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import Recipe, pbmc_cells, random_checkpoint
from scgpt_databricks.model.scgpt.embedder import Embedder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder.load(random_checkpoint(tmp_path_factory.mktemp("ck") / "c", Recipe(steps=0)))


def scaled(n_cells: int = 20) -> anndata.AnnData:
    """Of 100 genes the scaled values in ``X``; the counts of these, and of all, beside it."""
    measured = pbmc_cells()[:n_cells].copy()
    cells = measured[:, :100].copy()
    cells.layers["counts"] = cells.X.copy()
    cells.X = (cells.X.toarray() - 1).astype(np.float32)
    cells.raw = measured
    return cells


WHERE = [{"layer": "counts"}, {"raw": True}]


@pytest.mark.parametrize("where", WHERE, ids=["layer", "raw"])
def test_the_matrix_of_an_annadata(where: dict[str, Any]) -> None:
    cells = scaled()
    found = CountsPlace(**where).of(cells)
    expected = pbmc_cells()[:20]
    n_genes = 765 if "raw" in where else 100
    assert list(found.var_names) == list(expected.var_names[:n_genes])
    assert list(found.obs_names) == list(cells.obs_names)
    np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray()[:, :n_genes])
    assert CountsPlace().of(cells) is cells


@pytest.mark.parametrize("where", WHERE, ids=["layer", "raw"])
def test_a_file_is_embedded_from_there(
    embedder: Embedder, tmp_path: Path, where: dict[str, Any]
) -> None:
    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    cells = scaled()
    cells.write_h5ad(source)
    with pytest.raises(InvalidRequest, match=r"Here .* holds") as refusal:
        embed_file(source, target, embedder, layer="X")
    assert refusal.value.code == "negative_values"
    embed_file(source, target, embedder, chunk=8, **where)
    given = CountsPlace(**where).of(cells)
    expected = embedder.embed_cells(given.X, list(given.var_names))
    written = anndata.read_h5ad(target)
    np.testing.assert_allclose(written.obsm["X_scGPT"], expected.embeddings, atol=1e-6)
    assert list(written.obs["scgpt_matched_genes"]) == list(expected.matched)
    np.testing.assert_array_equal(written.X, cells.X)


def test_only_that_matrix_comes_into_memory(embedder: Embedder, tmp_path: Path) -> None:
    ballast = 4_000_000  # numbers: 32 MB
    scaled().write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "r+") as file:
        file["layers"].create_dataset("ballast", (20, ballast // 20), "f8", compression="gzip")
        del file["X"]
        file.create_dataset("X", (20, ballast // 20), "f8", compression="gzip")
    tracemalloc.start()
    try:
        embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, raw=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16e6


def test_another_matrix_starts_anew(embedder: Embedder, tmp_path: Path) -> None:
    class Stop(Exception):  # noqa: N818 - stands for a kill
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    source, target = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    scaled().write_h5ad(source)
    with pytest.raises(Stop):
        embed_file(source, target, embedder, chunk=8, raw=True, progress=stop)
    assert embed_file(source, target, embedder, chunk=8, layer="counts").resumed_at == 0


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ({"layer": "spliced"}, "no_matrix", "has no layer 'spliced'; its layers: counts"),
        ({"layer": ""}, "no_matrix", "has no layer ''"),
        ({"raw": True}, "no_matrix", "has no raw"),
        ({"layer": "counts", "raw": True}, "two_matrices", "give one"),
    ],
)
def test_what_is_not_there(
    embedder: Embedder, tmp_path: Path, where: dict[str, Any], code: str, words: str
) -> None:
    cells = scaled()
    cells.raw = None
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(InvalidRequest, match=words) as in_memory:
        CountsPlace(**where).of(cells)
    with pytest.raises(InvalidRequest, match=words) as in_a_file:
        embed_file(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", embedder, **where)
    assert in_memory.value.code == in_a_file.value.code == code
