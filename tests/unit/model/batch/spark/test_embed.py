"""The function that Spark's workers run, on Arrow batches: no session is needed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scgpt_databricks.model.batch.spark import embed
from scgpt_databricks.model.batch.spark.embed import EMBEDDING_COLUMNS, embedding, judging
from scgpt_databricks.model.batch.spark.engines import Model, engine_of
from scgpt_databricks.model.errors import EngineError
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.batch.spark.test_rows import packed


def batch(rows: list[str | None]) -> pa.RecordBatch:
    digests = [str(number) for number in range(len(rows))]
    return pa.record_batch(
        [pa.array(digests), pa.array(rows, pa.string())], ["cell_digest", "packed"]
    )


def embedded(model: Model, *batches: pa.RecordBatch) -> list[dict[str, Any]]:
    found = [*embedding(model)(iter(batches))]
    assert all(each.schema == EMBEDDING_COLUMNS for each in found)
    return [row for each in found for row in each.to_pylist()]


@pytest.fixture
def model(checkpoint: Path) -> Model:
    return Model(str(checkpoint))


def test_rows_are_what_the_engine_gives(model: Model, embedder: Embedder) -> None:
    cells = pbmc_cells()[:30]
    expected = embedder.embed_cells(cells.X, list(cells.var_names))
    rows = embedded(model, batch(packed(cells)[:20]), batch(packed(cells)[20:]))
    vectors = np.array([row["embedding"] for row in rows], np.float32)
    np.testing.assert_allclose(vectors, expected.embeddings, atol=1e-6)
    for name in ("matched", "unknown", "truncated"):
        assert [row[f"{name}_genes"] for row in rows] == list(getattr(expected, name))
    assert {row["model_digest"] for row in rows} == {embedder.digest}
    assert {row["error_code"] for row in rows} == {None}


def test_groups_change_no_row(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = packed(pbmc_cells()[:30])
    whole = embedded(model, batch(rows))
    monkeypatch.setattr(embed, "_GROUP", 7)
    for mine, other in zip(embedded(model, batch(rows)), whole, strict=True):
        np.testing.assert_allclose(mine["embedding"], other["embedding"], atol=1e-6)


def test_a_bad_row_has_a_reason_and_spoils_no_other(model: Model) -> None:
    good = packed(pbmc_cells()[:3])
    first, bad, second, none, third = embedded(
        model, batch([good[0], "AAAA", good[1], None, good[2]])
    )
    assert bad["error_code"] == "packed_magic"
    assert "SCGP" in bad["error"]
    assert none["error_code"] == "no_cell"
    assert bad["embedding"] is None
    assert bad["matched_genes"] is None
    assert bad["model_digest"] == first["model_digest"]
    alone = embedded(model, batch(good))
    assert [row["embedding"] for row in (first, second, third)] == [
        row["embedding"] for row in alone
    ]


def test_rows_none_of_which_is_good_name_the_model(model: Model, embedder: Embedder) -> None:
    (row,) = embedded(model, batch(["AAAA"]))
    assert row["model_digest"] == embedder.digest
    assert embedded(model, batch([])) == []


def test_a_cell_that_does_not_fit_the_memory_fails_alone(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(model)
    rows = packed(pbmc_cells()[:4])

    def embed_cells(sent: Any, options: Any, real: Any = engine.embed_cells) -> Any:
        if max(np.diff(sent[0].cells.counts.indptr)) == most:
            raise EngineError("out_of_memory", "one cell does not fit")
        return real(sent, options)

    most = max(row["matched_genes"] + row["unknown_genes"] for row in embedded(model, batch(rows)))
    monkeypatch.setattr(engine, "embed_cells", embed_cells)
    found = embedded(model, batch(rows))
    assert [row["error_code"] for row in found].count("out_of_memory") == 1
    assert sum(row["embedding"] is not None for row in found) == 3


def test_a_model_that_cannot_be_loaded_ends_the_job(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^\[\w+\] "):
        embedded(Model(str(tmp_path)), batch(["AAAA"]))


def test_cells_are_judged_as_a_request(model: Model, embedder: Embedder) -> None:
    cells = pbmc_cells()[:30].copy()
    (fine,) = [
        row
        for each in judging(model, 0.5, allow_imputed=False)(iter([batch(packed(cells))]))
        for row in each.to_pylist()
    ]
    assert fine == {"model_digest": embedder.digest, "code": "", "message": ""}
    cells.var_names = [f"ENSG{i:011}" for i in range(cells.n_vars)]
    (refused,) = [
        row
        for each in judging(model, 0.5, allow_imputed=False)(iter([batch(packed(cells))]))
        for row in each.to_pylist()
    ]
    assert refused["code"] == "no_known_gene"
