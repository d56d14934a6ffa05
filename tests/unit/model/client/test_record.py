"""The record beside embeddings says how they were made, and survives both file formats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from scgpt_databricks.model.cells.gene_choice import genes_digest
from scgpt_databricks.model.client import Endpoint, embed
from tests.unit.model.served import DIGEST, GENES, Server, cells


def embedded(server: Server, **how: Any) -> anndata.AnnData:
    adata = cells(7)
    adata.layers["counts"] = adata.X.copy()
    adata.obs["donor"] = pd.array(["a", None, "b", "a", "b", "a", "b"], dtype="string")
    models = {"model-1": "models:/main.s.m/3", "model-2": "models:/main.s.m/4"}
    place = Endpoint("e", server.endpoint.host, server.endpoint.headers, models=models)
    embed(adata, place, **how)
    return adata


def test_it_says_how(server: Server) -> None:
    record = embedded(server, seed=3).uns["scgpt"]
    assert record["model_digest"] == DIGEST
    assert record["model_uri"] == "models:/main.s.m/3"
    assert list(record["served_entities"]) == ["model-1"]
    assert (record["matrix"], record["gene_names"]) == ("layers/counts", "index")
    assert record["genes_sha256"] == genes_digest(GENES)
    assert record["params"] == {"response_format": "float32", "allow_imputed": False, "seed": 3}
    assert record["dtype"] == "float32"
    assert record["versions"].keys() >= {"python", "anndata", "numpy"}
    age = datetime.now(UTC) - datetime.fromisoformat(record["time"])
    assert timedelta(seconds=-1) < age < timedelta(minutes=5)


def test_the_genes_serve_for_other_cells(server: Server) -> None:
    reference = embedded(server, genes=GENES[2:6])
    record = reference.uns["scgpt"]
    assert list(record["genes"]) == GENES[2:6]
    query = cells(7)
    embed(query, server.endpoint, genes=record["genes"])
    assert query.uns["scgpt"]["genes_sha256"] == record["genes_sha256"]
    with pytest.warns(UserWarning, match="1 of 2 genes"):
        embed(query, server.endpoint, genes=["GENE1", "NEW"])
    assert list(query.uns["scgpt"]["genes_missing"]) == ["NEW"]


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("strings", [False, True], ids=["plain", "nullable"])
@pytest.mark.parametrize("kind", ["h5ad", "zarr v2", "zarr v3"])
def test_it_survives_files(server: Server, kind: str, strings: bool, tmp_path: Path) -> None:
    adata = embedded(server, genes=GENES[2:6])
    if not strings:
        del adata.obs["donor"]
    path = tmp_path / kind.replace(" ", ".")
    version = 3 if kind.endswith("3") else 2
    with anndata.settings.override(
        allow_write_nullable_strings=strings, zarr_write_format=version, auto_shard_zarr_v3=False
    ):
        if kind == "h5ad":
            adata.write_h5ad(path)
            found = anndata.read_h5ad(path)
        else:
            adata.write_zarr(path)
            found = anndata.read_zarr(path)
    np.testing.assert_array_equal(found.obsm["X_scGPT"], adata.obsm["X_scGPT"])
    assert list(found.obs["scgpt_status"]) == ["ok"] * 7
    for name, value in adata.uns["scgpt"].items():
        assert np.array_equal(found.uns["scgpt"][name], value) or found.uns["scgpt"][name] == value
