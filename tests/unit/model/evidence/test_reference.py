"""A frozen reference is read back as it was; one that is too old or damaged says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse

from benchmarks.donors import donors
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.evidence.reference import (
    KEY,
    MOST_KEPT,
    common_genes,
    freeze,
    lost_share,
    sample_of_cells,
    thaw,
)
from scgpt_databricks.model.judge.drift import find_drift


def frozen(many: int = 16, cells: int = 100) -> dict[str, object]:
    sample = donors(np.random.default_rng(1), many, cells=cells)
    of_each = np.full(many * cells, 95), np.full(many * cells, 5)
    genes, rates = [f"G{i}" for i in range(30)], np.full(30, 0.5)
    return freeze(sample, *of_each, digest="d" * 64, genes=genes, rates=rates)


def test_it_is_json_and_judges_as_before() -> None:
    found = thaw(json.loads(json.dumps({"format": 2, KEY: frozen()})))
    assert found.digest == "d" * 64
    assert len(found.genes) == len(found.rates) == 30
    new = donors(np.random.default_rng(2), 12, mixture=(0.1, 0.25, 0.15, 0.12, 0.38))
    looked = find_drift(found.reference, new, alpha=0.001)
    assert [each.alarm for each in looked] == [False, True, False]


def test_it_stays_small() -> None:
    large = frozen(many=90, cells=200)
    kept = thaw({KEY: large}).reference.sample
    assert len(kept.data_set) <= MOST_KEPT
    assert np.bincount(kept.data_set).min() >= 20
    assert len(json.dumps(large)) < 1_000_000


def test_one_that_is_too_old_or_damaged_says_so() -> None:
    with pytest.raises(InvalidRequest, match="deciles only"):
        thaw({"format": 1, "cells": {}})
    for damage in ({}, {**frozen(), "cells": "U0NHUA=="}, {**frozen(), "sizes": "x"}):
        with pytest.raises(InvalidRequest):
            thaw({KEY: damage})


def test_common_genes_are_in_every_group() -> None:
    rates = np.full((3, 40), 0.9)
    rates[1, :10] = 0.1
    assert common_genes(rates, [str(i) for i in range(40)]) == list(range(10, 40))
    assert common_genes(rates[:, :15], [str(i) for i in range(15)]) == [], "too few to judge by"


def test_a_gene_is_lost_where_nearly_no_cell_has_it() -> None:
    usual = np.full(4, 0.5)
    rates = np.array([[0.5, 0.4, 0.3, 0.6], [0.0, 0.01, 0.5, 0.5]])
    assert lost_share(rates, usual).tolist() == [0.0, 0.5]
    assert np.isnan(lost_share(rates[:, :0], usual[:0])).all()


def test_labelled_cells_become_data_sets() -> None:
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1.5, (120, 40)).astype(np.float32))
    counts = sparse.csr_matrix(counts.multiply(np.r_[np.ones(60), np.full(60, 0.3)][:, None]))
    donor, kind = np.repeat(["a", "b"], 60), np.tile(["T", "B"], 60)
    genes = [f"G{i}" for i in range(40)]
    sample, common, rates = sample_of_cells(
        counts, genes, donor, [kind], np.zeros((120, 4), np.float32), np.ones(120)
    )
    assert sample.names == ("a", "b")
    assert sample.whole.tolist() == [1.0, 0.0]
    assert common == genes
    assert np.allclose(rates, (counts != 0).mean(axis=0), atol=1e-6)
    assert (sample.lost == 0).all()
