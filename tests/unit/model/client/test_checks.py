"""What ``embed`` refuses before the first request, and that chunks have no say in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata
import numpy as np
import pytest
from scipy import sparse

from scgpt_databricks.model.cells.cells import Cells
from scgpt_databricks.model.cells.imputed import check_not_imputed
from scgpt_databricks.model.client import Endpoint, embed
from scgpt_databricks.model.client.gene_table import gene_table
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.wire.codec import decode_cells
from tests.unit.model.served import Server, cells, untouched

RNG = np.random.default_rng(0)


def wide(values: np.ndarray) -> anndata.AnnData:
    found = anndata.AnnData(values.astype(np.float32))
    found.var_names = [f"G{i}" for i in range(values.shape[1])]
    return found


def per_million(n_cells: int) -> np.ndarray:
    """270 of 700 genes in each cell, nearly the same ones in all; no two values alike."""
    values = np.zeros((n_cells, 700))
    for i in range(n_cells):
        values[i, 10 * (i % 2) : 10 * (i % 2) + 270] = RNG.random(270) + 0.01
    return values


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_genes_that_no_cell_expresses_count_in_the_judgement(
    server: Server,
    chunk: int,
) -> None:
    adata = wide(per_million(4))
    check_not_imputed([Cells(sparse.csr_matrix(adata.X), list(adata.var_names))])
    embed(adata, server.endpoint, chunk=chunk)
    assert len(server.requests) == -(-4 // chunk)
    assert all(request["params"]["allow_imputed"] for request in server.requests)


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_imputed_values_are_refused_whatever_the_chunk(
    server: Server,
    chunk: int,
) -> None:
    adata = wide(RNG.random((5, 700)) + 0.01)
    with pytest.raises(InvalidRequest, match="5 of 5 cells look imputed") as refusal:
        embed(adata, server.endpoint, chunk=chunk)
    assert refusal.value.code == "imputed_values"
    assert server.requests == []
    embed(adata, server.endpoint, chunk=chunk, params={"allow_imputed": True})


@pytest.mark.parametrize("make", [sparse.csc_matrix, sparse.csr_matrix, np.asarray])
def test_every_kind_of_matrix_is_sent_the_same(
    server: Server,
    make: Callable[[Any], Any],
) -> None:
    adata = cells()
    adata.X = make(adata.X)
    embed(adata, server.endpoint, chunk=3)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(7) + 1)


def test_float16_is_sent(server: Server) -> None:
    adata = anndata.AnnData(cells().X.astype(np.float16))
    embed(adata, server.endpoint)
    sent = decode_cells(server.requests[0]["dataframe_split"]["data"][0][0])
    np.testing.assert_array_equal(sent.counts.toarray(), adata.X[:, :7])


def no_matrix() -> anndata.AnnData:
    return anndata.AnnData(obs=cells().obs, var=cells().var)


def duplicates() -> anndata.AnnData:
    adata = cells()
    adata.var_names = [*adata.var_names[:-1], adata.var_names[0]]
    return adata


def late_nan() -> anndata.AnnData:
    adata = cells()
    adata.X[6, 6] = np.nan
    return adata


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("make", "options", "code"),
    [
        (no_matrix, {}, "no_matrix"),
        (duplicates, {}, "duplicate_genes"),
        (late_nan, {}, "not_finite"),
        (cells, {"chunk": 2.5}, "invalid_chunk"),
        (cells, {"chunk": -1}, "invalid_chunk"),
        (cells, {"key": ""}, "invalid_key"),
        (cells, {"key": "a/b"}, "invalid_key"),
    ],
)
def test_nothing_is_sent_of_what_cannot_be_embedded(
    server: Server,
    make: Callable[[], anndata.AnnData],
    options: dict[str, Any],
    code: str,
) -> None:
    adata = make()
    with pytest.raises(InvalidRequest) as refusal:
        embed(adata, server.endpoint, **{"chunk": 2, **options})
    assert refusal.value.code == code
    assert server.requests == []
    assert untouched(adata)


def test_one_string_is_no_list_of_genes() -> None:
    with pytest.raises(InvalidRequest, match="genes is 'CD3D'; it must be a list"):
        gene_table(Endpoint("e", "http://127.0.0.1:9", dict), genes="CD3D")
