"""``gene_table`` and ``batch_inference`` against the model behind MLflow's own server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import requests
from scipy import sparse

from scgpt_databricks.model.cells import checks
from scgpt_databricks.model.client import batch_inference as module
from scgpt_databricks.model.client import embed
from scgpt_databricks.model.client.batch_inference import batch_inference
from scgpt_databricks.model.client.endpoint import Endpoint
from scgpt_databricks.model.client.gene_table import gene_table
from scgpt_databricks.model.errors import EndpointError, InvalidRequest, LimitExceeded
from scgpt_databricks.model.pyfunc import guide_frame
from scgpt_databricks.model.scgpt.embedder import Embedder
from scgpt_databricks.model.wire import envelope
from tests.contract.conftest import Server
from tests.unit.model.reference import GENES, make_counts


@pytest.fixture
def endpoint(server: Server, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """MLflow's server has no name of an endpoint in its path."""
    monkeypatch.setattr(Endpoint, "url", f"{server.url}/invocations")
    return Endpoint("e", server.url, dict)


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The request bodies that were sent."""
    seen: list[dict[str, Any]] = []
    send = requests.Session.post

    def post(self: requests.Session, url: str, **options: Any) -> requests.Response:
        seen.append(options["json"])
        return send(self, url, **options)

    monkeypatch.setattr(requests.Session, "post", post)
    return seen


def adata(seed: int, n_cells: int = 3, genes: list[str] = GENES[:20]) -> anndata.AnnData:
    found = anndata.AnnData(sparse.csr_matrix(make_counts(n_cells, len(genes), seed=seed)))
    found.var_names, found.obs_names = genes, [f"c{seed}.{i}" for i in range(n_cells)]
    found.obs["batch"], found.obs["type"] = "b", [*"TBTTTTTT"][:n_cells]
    return found


@pytest.mark.parametrize("page", [7, 60, 120, 5000])
def test_the_whole_table_by_pages(
    endpoint: Endpoint, embedder: Embedder, tmp_path: Path, page: int
) -> None:
    seen: list[tuple[int, int]] = []
    table = gene_table(endpoint, page=page, progress=lambda *done: seen.append(done))
    whole = embedder.embed_genes()
    assert list(table.obs_names) == whole.genes == GENES
    assert table.X.dtype == np.float32
    np.testing.assert_array_equal(table.X, whole.embeddings)
    assert table.uns["scgpt"]["model_digest"] == embedder.digest
    assert seen[-1] == (120, 120)
    assert len(seen) == -(-120 // page)
    table.write_h5ad(tmp_path / "genes.h5ad")
    assert anndata.read_h5ad(tmp_path / "genes.h5ad").shape == table.shape


def test_some_genes_as_float16(endpoint: Endpoint, embedder: Embedder) -> None:
    table = gene_table(endpoint, genes=["G7", "nowhere", "G1"], page=1, response_format="float16")
    assert list(table.obs_names) == ["G7", "G1"]
    assert table.uns["scgpt"]["genes_not_found"] == ["nowhere"]
    wanted = embedder.embed_genes(["G7", "G1"]).embeddings
    np.testing.assert_allclose(table.X, wanted, atol=2e-3)


@pytest.mark.parametrize("kind", [pd.Index, np.array, pd.Series, tuple, iter])
def test_genes_may_come_as_anndata_has_them(
    endpoint: Endpoint, kind: Callable[[list[str]], Any]
) -> None:
    assert list(gene_table(endpoint, genes=kind(["G7", "G1"]), page=1).obs_names) == ["G7", "G1"]


def test_params_may_be_numpys(endpoint: Endpoint) -> None:
    one, other = adata(1), adata(1)
    numpys = {"max_length": np.int64(9), "min_known_fraction": np.float32(0.5)}
    for cells, params in ((one, numpys), (other, {"max_length": 9})):
        with pytest.warns(UserWarning, match="max_length"):
            embed(cells, endpoint, params=params)
    np.testing.assert_array_equal(one.obsm["X_scGPT"], other.obsm["X_scGPT"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"page": 0}, "invalid_page"),
        ({"genes": "G1"}, "invalid_param"),
        ({"genes": ["nowhere"]}, "no_known_gene"),
        ({"genes": ["G1", "G2", "G1"], "page": 1}, "duplicate_genes"),
        ({"response_format": "json16"}, "invalid_param"),
        ({"response_format": "json"}, "invalid_param"),
    ],
)
def test_a_table_that_cannot_be_had(
    endpoint: Endpoint, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        gene_table(endpoint, **arguments)
    assert refusal.value.code == code


def test_every_anndata_is_answered_with_its_genes(
    endpoint: Endpoint, embedder: Embedder, bodies: list[dict[str, Any]]
) -> None:
    data = [adata(i, genes=GENES[i : i + 20]) for i in range(5)]
    lines = batch_inference(endpoint, data, {"filter_gene_by_counts": 1}, batch_size=2)
    assert [len(body["dataframe_split"]["data"]) for body in bodies] == [2, 2, 1]
    assert [line["input_row"] for line in lines] == [0, 1, 2, 3, 4]
    for line, item in zip(lines, data, strict=True):
        kept = [g for g, n in zip(item.var_names, item.X.sum(axis=0).A1, strict=True) if n >= 1]
        assert list(line["gene_embeddings"]) == kept
        wanted = embedder.embed_genes(kept).embeddings
        np.testing.assert_allclose(list(line["gene_embeddings"].values()), wanted, atol=1e-6)


def test_cells_and_groups(endpoint: Endpoint, embedder: Embedder) -> None:
    data = [adata(i) for i in range(3)]
    lines = batch_inference(endpoint, data, {"task": "cell_embeddings"}, batch_size=2)
    assert [line["id"] for line in lines] == [name for item in data for name in item.obs_names]
    assert [line["input_row"] for line in lines] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for i, item in enumerate(data):
        wanted = embedder.embed_cells(item.X, list(item.var_names)).embeddings
        got = [line["embedding"] for line in lines if line["input_row"] == i]
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    params = {"task": "contextual_gene_embeddings", "group_by": "type"}
    groups = batch_inference(endpoint, data, params)
    assert [(line["input_row"], line["group"]) for line in groups] == [
        (i, group) for i in range(3) for group in "BT"
    ]


def test_the_guides_forms_are_taken_as_well(endpoint: Endpoint) -> None:
    counts = sparse.csr_matrix(make_counts(3, 20, seed=1))
    frame = guide_frame(counts, GENES[:20])
    direct = {
        "adata_sparsematrix": counts,
        "adata_obs": pd.DataFrame({"batch": "1"}, index=["a", "b", "c"]),
        "adata_var": pd.DataFrame(index=GENES[:20]),
    }
    lines = batch_inference(endpoint, [frame, direct, frame.iloc[0].to_dict()])
    assert [list(line["gene_embeddings"]) for line in lines] == [GENES[:20]] * 3


def test_a_request_stays_below_the_platforms_limit(
    endpoint: Endpoint, bodies: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROOM", 700)  # two of these, not three
    lines = batch_inference(endpoint, [adata(i) for i in range(5)], {}, batch_size=10)
    assert [len(body["dataframe_split"]["data"]) for body in bodies] == [2, 2, 1]
    assert [line["input_row"] for line in lines] == [0, 1, 2, 3, 4]


def test_an_anndata_that_fits_no_request_is_refused_before_any_is_sent(
    endpoint: Endpoint, bodies: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = adata(0), adata(1, n_cells=8, genes=GENES)
    monkeypatch.setattr(module, "_ROOM", 700)
    with pytest.raises(LimitExceeded, match="AnnData 1 of data_list is") as refusal:
        batch_inference(endpoint, [small, large], {}, batch_size=1)
    assert refusal.value.code == "packed_too_large"
    for limit, code in (("MAX_CELLS", "too_many_cells"), ("MAX_GENES", "too_many_genes")):
        with monkeypatch.context() as patch:
            patch.setattr(checks, limit, 2)
            with pytest.raises(LimitExceeded) as refusal:
                batch_inference(endpoint, [small], {})
        assert refusal.value.code == code
    assert bodies == []


def test_a_request_stays_below_the_models_own_limit(
    endpoint: Endpoint, bodies: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that compress well may be small to send and too large to open."""
    data = [adata(i) for i in range(3)]
    monkeypatch.setattr(envelope, "MAX_CELLS_BYTES", 600)  # two of these, not three
    lines = batch_inference(endpoint, data, {}, batch_size=10)
    assert [len(body["dataframe_split"]["data"]) for body in bodies] == [2, 1]
    assert [line["input_row"] for line in lines] == [0, 1, 2]


def test_input_that_cannot_be_sent(endpoint: Endpoint) -> None:
    frame = guide_frame(sparse.csr_matrix(make_counts(3, 20)), GENES[:20])
    scaled = adata(0)
    scaled.X = scaled.X - 1 * sparse.csr_matrix(np.ones(scaled.shape))
    for data, size, code in (
        ([], 10, "no_rows"),
        ([adata(0)], 0, "invalid_batch_size"),
        ([pd.concat([frame, frame])], 10, "one_row"),
        ([scaled], 10, "negative_values"),
        ([frame.drop(columns="adata_sparsematrix")], 10, "no_cells"),
        ([anndata.AnnData(obs=scaled.obs, var=scaled.var)], 10, "no_matrix"),
        ([adata(0, genes=[f"X{i}" for i in range(20)])], 10, "no_known_gene"),
        ([guide_frame(sparse.csr_matrix((3, 20)), GENES[:21])], 10, "gene_count_mismatch"),
        ([guide_frame(sparse.csr_matrix((3, 20)), GENES[:19])], 10, "gene_count_mismatch"),
        ([adata(0, genes=["G1"] * 2)], 10, "duplicate_genes"),
        ([adata(0, genes=["G1", "\ud800"])], 10, "invalid_text"),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            batch_inference(endpoint, data, {}, size)
        assert refusal.value.code == code


@pytest.mark.parametrize(
    ("params", "code"),
    [({"group_by": ["a"]}, "invalid_param"), ({"sed": 1}, "unknown_param")],
)
def test_params_that_are_none_are_refused_before_anything_is_sent(
    endpoint: Endpoint, bodies: list[dict[str, Any]], params: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        batch_inference(endpoint, [adata(0)], params)
    assert (refusal.value.code, bodies) == (code, [])


def test_params_may_be_null_or_numpys(endpoint: Endpoint) -> None:
    params = {"task": "cell_embeddings", "seed": np.int64(3), "genes": None, "group_by": None}
    assert len(batch_inference(endpoint, [adata(0)], params)) == 3


@pytest.mark.parametrize("dense", [False, True])
def test_a_backed_anndata_is_answered_like_one_in_memory(
    endpoint: Endpoint, tmp_path: Path, dense: bool
) -> None:
    item, params = adata(0), {"task": "cell_embeddings"}
    item.X = item.X.toarray() if dense else item.X
    item.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert batch_inference(endpoint, [backed], params) == batch_inference(endpoint, [item], params)


def test_an_endpoint_by_name_or_url(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("DATABRICKS_HOST", server.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", "a-token")
    by_name = Endpoint.find("scgpt-serving")
    assert by_name.url == f"{server.url}/serving-endpoints/scgpt-serving/invocations"
    assert by_name.headers()["Authorization"] == "Bearer a-token"
    by_url = Endpoint.find(f"{by_name.url}/")
    assert (by_url.name, by_url.url) == ("scgpt-serving", by_name.url)
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "pat")
    with pytest.raises(EndpointError, match="no credentials for scgpt-serving"):
        Endpoint.find("scgpt-serving")
