"""The client against a real HTTP server that answers as the test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from scgpt_databricks.model.client import embed
from scgpt_databricks.model.contract import PACKED
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.wire.codec import decode_cells
from tests.unit.model.served import DIGEST, Server, cells, untouched


def test_chunks_are_put_together_in_order(server: Server) -> None:
    adata, seen = cells(7), []
    report = embed(
        adata,
        server.endpoint,
        chunk=3,
        request_prefix="job",
        progress=lambda done, total: seen.append((done, total)),
    )
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(7) + 1)
    assert adata.obsm["X_scGPT"].dtype == np.float32
    assert {r["client_request_id"] for r in server.requests} == {"job-0", "job-3", "job-6"}
    assert seen == [(3, 7), (6, 7), (7, 7)]
    assert (report.requests, report.model_digest) == (3, DIGEST)
    assert report.served == ("model-1",)
    assert adata.uns["scgpt"]["model_digest"] == DIGEST
    # Only the genes that a chunk expresses travel.
    assert list(adata.obs["scgpt_matched_genes"]) == [3, 3, 3, 3, 3, 3, 1]
    assert list(adata.obs["scgpt_unknown_genes"]) == [2] * 7
    assert list(adata.obs["scgpt_truncated_genes"]) == [0] * 7


def test_each_request_is_authenticated_and_packed(server: Server) -> None:
    embed(cells(), server.endpoint, params={"seed": 3})
    (request,) = server.requests
    assert request["path"] == "/serving-endpoints/e/invocations"
    judged = {"response_format": "float32", "allow_imputed": True}
    assert request["params"] == {**judged, "seed": 3}
    assert request["dataframe_split"]["columns"] == [PACKED]
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_names_of_cells_stay_at_home(server: Server) -> None:
    """Row numbers stand for them: barcodes are patients'."""
    adata = cells(3)
    adata.obs["patient"] = ["ann", "bob", "eve"]
    embed(adata, server.endpoint, chunk=2)
    sent = [decode_cells(r["dataframe_split"]["data"][0][0]) for r in server.requests]
    assert sorted(name for each in sent for name in each.ids or []) == ["0", "1", "2"]
    assert [each.obs for each in sent] == [{}, {}]
    embed(adata, server.endpoint, cell_names=True)
    (asked,) = server.requests[2:]
    assert decode_cells(asked["dataframe_split"]["data"][0][0]).ids == list(adata.obs_names)


def test_rows_keep_their_order_where_names_of_cells_occur_twice(server: Server) -> None:
    adata = cells(7)
    adata.obs_names = ["same"] * 7
    embed(adata, server.endpoint, chunk=2)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][:, 0], np.arange(7) + 1)


def test_a_column_of_var_names_the_genes(server: Server) -> None:
    adata = cells(3)
    adata.var["feature_name"] = [f"N{at // 2}" for at in range(adata.n_vars)]
    with pytest.raises(InvalidRequest, match="occur more than once"):
        embed(adata, server.endpoint, gene_names="feature_name")
    embed(adata, server.endpoint, gene_names="feature_name", sum_duplicates=True)
    (request,) = server.requests
    sent = decode_cells(request["dataframe_split"]["data"][0][0])
    expected = adata.X.sum(axis=1)
    assert set(sent.genes) <= set(adata.var["feature_name"])
    np.testing.assert_allclose(np.ravel(sent.counts.sum(axis=1)), expected)


def test_values_of_a_layer_and_of_raw_are_sent(server: Server) -> None:
    adata = cells(7)
    adata.layers["doubled"] = adata.X * 2
    adata.raw = adata.copy()
    adata.X = adata.X - 1
    embed(adata, server.endpoint, layer="doubled", key="doubled", chunk=3)
    embed(adata, server.endpoint, raw=True, key="raw", chunk=3)
    np.testing.assert_array_equal(adata.obsm["doubled"][:, 0], (np.arange(7) + 1) * 2)
    np.testing.assert_array_equal(adata.obsm["raw"][:, 0], np.arange(7) + 1)
    assert list(adata.obs["scgpt_matched_genes"]) == [3, 3, 3, 3, 3, 3, 1]
    with pytest.raises(InvalidRequest, match="has no layer 'other'; its layers: doubled"):
        embed(adata, server.endpoint, layer="other")


def with_value(value: float) -> anndata.AnnData:
    adata = cells()
    adata.X[5, 2] = value
    return adata


@pytest.mark.parametrize(
    ("adata", "words"),
    [
        (cells(0), "no cell"),
        (with_value(np.nan), "NaN"),
        (with_value(np.inf), "infinity"),
        (with_value(-1.0), "go down to -1"),
    ],
)
def test_bad_cells_are_refused(server: Server, adata: anndata.AnnData, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"(?i){words}"):
        embed(adata, server.endpoint)
    assert server.requests == []
    assert untouched(adata)


def test_a_chunk_of_nothing_is_refused(server: Server) -> None:
    with pytest.raises(InvalidRequest, match="chunk is 0"):
        embed(cells(), server.endpoint, chunk=0)
    assert server.requests == []


def test_whether_genes_are_known_is_asked_of_the_first_chunk_with_counts(server: Server) -> None:
    """A last chunk of empty drops, or of cells with few known genes, must not undo the rest."""
    adata = cells(8)
    adata.X[:2] = 0
    embed(adata, server.endpoint, chunk=2, params={"min_known_fraction": 0.7})
    asked = [request["params"]["min_known_fraction"] for request in server.requests]
    assert asked == [0.7, 0.7, 0.0, 0.0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"response_format": "json"}, "response_format is 'json'.*float32 or float16"),
        ({"task": "gene_embeddings"}, "task is 'gene_embeddings'.*only cell_embeddings"),
        ({"input_data_path": "/Volumes/a/b/c/d.h5ad"}, "input_data_path"),
        ({"filter_cell_by_counts": True}, "filter_cell_by_counts is True.*beforehand"),
        ({"min_counts_per_cell": 5}, "min_counts_per_cell is 5.*beforehand"),
        ({"filter_gene_by_counts": 3}, "filter_gene_by_counts is 3.*genes of its own"),
        ({"subset_hvg": 200}, "subset_hvg is 200.*genes of its own"),
        ({"group_by": "type"}, "group_by"),
        ({"ties": "none"}, "ties is 'none'"),
    ],
)
def test_params_that_embed_cannot_use_are_refused_before_anything_is_sent(
    server: Server, params: dict[str, Any], words: str
) -> None:
    adata = cells()
    with pytest.raises(InvalidRequest, match=words) as caught:
        embed(adata, server.endpoint, params=params)
    assert caught.value.code == "invalid_param"
    assert server.requests == []
    assert untouched(adata)


def test_params_that_change_nothing_of_this_are_sent(server: Server) -> None:
    params = {"task": "cell_embeddings", "response_format": "float16", "seed": 1}
    embed(cells(), server.endpoint, params=params)
    no_filters = {"need_preprocess": False}
    embed(cells(), server.endpoint, params={"response_format": None, **no_filters})
    judged = {"allow_imputed": True}
    assert server.requests[0]["params"] == {**params, **judged}
    assert server.requests[1]["params"] == {"response_format": "float32", **judged, **no_filters}


def test_an_anndata_that_takes_no_results(server: Server, tmp_path: Path) -> None:
    cells(7).write_h5ad(tmp_path / "cells.h5ad")
    view = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")[:3]
    with pytest.raises(InvalidRequest, match="to_memory") as refusal:
        embed(view, server.endpoint)
    assert (refusal.value.code, server.requests) == ("not_writable", [])
