"""A checkpoint in this process answers as an endpoint does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scgpt_databricks.model.client import embed
from scgpt_databricks.model.errors import CheckpointError, InvalidRequest
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.embedder import Embedder


def test_it_gives_the_engines_rows() -> None:
    cells = demo.pbmc_cells()[:40].copy()
    report = embed(cells, checkpoint=demo.SHIPPED, chunk=16, ties="spread")
    engine = Embedder.load(demo.SHIPPED)
    expected = engine.embed_cells(cells.X, list(cells.var_names), ties="spread")
    np.testing.assert_allclose(cells.obsm["X_scGPT"], expected.embeddings, atol=1e-6)
    assert list(cells.obs["scgpt_matched_genes"]) == list(expected.matched)
    assert (report.requests, report.model_digest) == (3, engine.digest)
    assert cells.uns["scgpt"]["model_digest"] == engine.digest
    assert cells.uns["scgpt"]["endpoint"] == ""


def test_it_refuses_what_an_endpoint_refuses(tmp_path: Path) -> None:
    foreign = demo.pbmc_cells()[:5].copy()
    foreign.var_names = [f"FBgn{i:07d}" for i in range(foreign.n_vars)]
    with pytest.raises(InvalidRequest) as refusal:
        embed(foreign, checkpoint=demo.SHIPPED)
    assert refusal.value.code == "no_known_gene"
    with pytest.raises(CheckpointError):
        embed(demo.pbmc_cells()[:5].copy(), checkpoint=tmp_path)
    with pytest.raises(InvalidRequest, match="give one of them"):
        embed(foreign, "e", checkpoint=demo.SHIPPED)
