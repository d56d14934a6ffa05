"""Answers are kept by the cell's tokens and the model; a run that failed goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cell_key import CellKeys
from scgpt_databricks.model.cells.in_memory import AnnDataCells
from scgpt_databricks.model.client import embed
from scgpt_databricks.model.errors import EndpointError, InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.wire.codec import decode_cells
from tests.unit.model.served import Answer, Server, cells, embeddings


def asked(server: Server) -> list[str]:
    """The row numbers of all cells that travelled."""
    rows = [r["dataframe_split"]["data"][0][0] for r in server.requests]
    return [name for packed in rows for name in decode_cells(packed).ids or []]


def failing_after(server: Server, requests: int) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        return embeddings(body) if len(server.requests) <= requests else (401, {"message": "no"})

    server.answer = answer


def vectors(adata: anndata.AnnData) -> list[float]:
    return [float(x) for x in adata.obsm["X_scGPT"][:, 0]]


@pytest.mark.parametrize("kept", ["here", "folder"])
def test_a_run_whose_token_was_refused_half_way_goes_on(
    server: Server, kept: str, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"chunk": 2, "concurrency": 1}
    if kept == "folder":
        how["cache"] = tmp_path / "kept"
    adata = cells(20)
    failing_after(server, 5)
    with pytest.raises(EndpointError, match="401"):
        embed(adata, server.endpoint, **how)
    before = len(server.requests)
    server.answer = embeddings
    embed(adata, server.endpoint, **how)
    assert vectors(adata) == [i + 1.0 for i in range(20)]
    # The first is asked again, for it says which model answers.
    assert len(server.requests) - before == 1 + 5


def test_all_of_it_is_there_the_next_time(server: Server, tmp_path: Path) -> None:
    first, again = cells(20), cells(20)
    embed(first, server.endpoint, chunk=5, cache=tmp_path)
    embed(again, server.endpoint, chunk=5, cache=str(tmp_path))
    assert len(server.requests) == 4 + 1
    assert again.obs.equals(first.obs)
    np.testing.assert_array_equal(again.obsm["X_scGPT"], first.obsm["X_scGPT"])


def test_only_cells_that_are_new_travel(server: Server, tmp_path: Path) -> None:
    embed(cells(20)[::2].copy(), server.endpoint, chunk=20, cache=tmp_path)
    server.requests.clear()
    adata = cells(20)
    embed(adata, server.endpoint, chunk=4, cache=tmp_path, concurrency=1)
    assert vectors(adata) == [i + 1.0 for i in range(20)]
    assert asked(server) == ["0", "1", "2", "3", *[str(i) for i in range(4, 20) if i % 2]]


@pytest.mark.parametrize(
    "other", [{"ties": "spread"}, {"seed": 3}, {"max_length": 9}, {"response_format": "float16"}]
)
def test_other_params_are_other_rows(server: Server, tmp_path: Path, other: dict[str, Any]) -> None:
    embed(cells(9), server.endpoint, chunk=3, cache=tmp_path)
    embed(cells(9), server.endpoint, chunk=3, cache=tmp_path, **other)
    assert len(server.requests) == 6
    embed(cells(9), server.endpoint, chunk=3, cache=tmp_path, min_known_fraction=0.1)
    assert len(server.requests) == 7, "who is refused says nothing about rows"


def test_another_model_has_other_rows(server: Server, tmp_path: Path) -> None:
    embed(cells(9), server.endpoint, chunk=3, cache=tmp_path)
    server.answer = lambda body: embeddings(body, "b" * 64)
    adata = cells(9)
    report = embed(adata, server.endpoint, chunk=3, cache=tmp_path)
    assert (len(server.requests), report.model_digest) == (6, "b" * 64)


def test_cells_that_failed_are_asked_for_again(server: Server, tmp_path: Path) -> None:
    def odd(body: dict[str, Any]) -> Answer:
        packed = body["dataframe_split"]["data"][0][0]
        return (
            (500, {"message": "odd"}) if 5 in decode_cells(packed).counts.data else embeddings(body)
        )

    server.answer = odd
    with pytest.warns(UserWarning, match="1 of 9 cells failed"):
        embed(cells(9), server.endpoint, chunk=3, cache=tmp_path)
    server.answer = embeddings
    server.requests.clear()
    adata = cells(9)
    embed(adata, server.endpoint, chunk=3, cache=tmp_path)
    assert vectors(adata) == [i + 1.0 for i in range(9)]
    assert asked(server) == ["0", "1", "2", "4"]


def test_a_place_that_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "answers.sqlite").write_text("no database " * 100)
    for place in (tmp_path / "file", tmp_path / "folder", 7, ""):
        with pytest.raises(InvalidRequest) as refusal:
            embed(cells(), server.endpoint, cache=place)  # type: ignore[arg-type]
        assert refusal.value.code == "invalid_cache"
    assert server.requests == []


def test_a_full_disk_costs_the_cache_alone(server: Server, tmp_path: Path) -> None:
    embed(cells(1), server.endpoint, cache=tmp_path)
    database = sqlite3.connect(tmp_path / "answers.sqlite")
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
    )
    database.close()
    adata = cells(9)
    with pytest.warns(UserWarning, match="no longer kept in the cache: disk is full"):
        embed(adata, server.endpoint, chunk=3, cache=tmp_path)
    assert vectors(adata) == [i + 1.0 for i in range(9)]


def test_keys_are_of_genes_and_values() -> None:
    """Not of the columns' order, of the type of the values, or of zeros."""
    adata = pbmc_cells()[:50].copy()
    keys = list(CellKeys(list(adata.var_names)).of(AnnDataCells(adata).rows(0, 50)))
    assert len({*keys}) == 50
    turned = adata[:, ::-1].copy()
    source = AnnDataCells(anndata.AnnData(turned.X.astype(np.float64).toarray(), var=turned.var))
    wide = sparse.hstack([source.rows(0, 50), sparse.csr_matrix((50, 1))], format="csr")
    assert list(CellKeys([*source.genes, "NEW"]).of(wide)) == keys
    renamed = CellKeys([f"{name}x" for name in adata.var_names])
    assert not {*renamed.of(AnnDataCells(adata).rows(0, 50))} & {*keys}
    doubled = CellKeys(list(adata.var_names)).of(AnnDataCells(adata).rows(0, 50) * 2)
    assert not {*doubled} & {*keys}
