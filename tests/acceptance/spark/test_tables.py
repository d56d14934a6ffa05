"""A table of cells in, a table of embeddings out: the same rows, once, whatever happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from scgpt_databricks.model.batch.spark import convert as converting
from scgpt_databricks.model.batch.spark.convert import convert
from scgpt_databricks.model.batch.spark.job import Job, run
from scgpt_databricks.model.errors import InvalidRequest
from scgpt_databricks.model.scgpt.demo import pbmc_cells
from scgpt_databricks.model.scgpt.embedder import Embedder

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


def rows_of(spark: SparkSession, cells: str, embeddings: str) -> pd.DataFrame:
    """Return the embedding of each row of a table of cells, in the order of its file."""
    read = spark.read.format("delta").load
    keyed = read(cells).selectExpr(
        "source_row", "cell_id", "sha2(coalesce(packed, ''), 256) AS cell_digest"
    )
    return keyed.join(read(embeddings), "cell_digest").orderBy("source_row").toPandas()


def vectors(rows: pd.DataFrame) -> np.ndarray:
    return np.stack(rows["embedding"].to_list())


def count(spark: SparkSession, table: str) -> int:
    return spark.read.format("delta").load(table).count()


def test_rows_are_those_of_the_engine_and_a_second_run_changes_nothing(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    real = pbmc_cells()
    expected = Embedder.load(checkpoint).embed_cells(real.X, list(real.var_names))
    seen: list[tuple[int, int]] = []
    done = run(
        spark,
        Job(cells, out, checkpoint, files_per_commit=1, partitions=3),
        progress=lambda at, of: seen.append((at, of)),
    )
    assert (done.put_in, done.failed, done.rows) == (700, 0, 700)
    assert done.model_digest == expected.digest
    assert seen[-1] == (700, 700)
    rows = rows_of(spark, cells, out)
    assert list(rows["cell_id"]) == list(real.obs_names)
    np.testing.assert_allclose(vectors(rows), expected.embeddings, atol=1e-6)
    for name in ("matched", "unknown", "truncated"):
        assert list(rows[f"{name}_genes"]) == list(getattr(expected, name))
    commits = spark.sql(f"DESCRIBE HISTORY delta.`{out}`").where("operation = 'MERGE'").count()
    assert commits == 2
    again = run(spark, Job(cells, out, checkpoint))
    assert (again.put_in, again.rows) == (0, 700)


@pytest.mark.long
def test_a_bad_row_says_why_and_cells_that_come_again_are_not_embedded_again(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    spark.sql(
        f"INSERT INTO delta.`{cells}` SELECT 'bad', 's', n, 'x', packed FROM "
        "VALUES (0, 'AAAA'), (1, NULL), (2, NULL), (3, '!') AS bad(n, packed)"
    )
    spark.sql(f"INSERT INTO delta.`{cells}` SELECT * FROM delta.`{cells}` WHERE source_row < 5")
    done = run(spark, Job(cells, out, checkpoint))
    assert (done.put_in, done.failed, done.rows) == (703, 3, 703)
    failed = spark.read.format("delta").load(out).where("error_code IS NOT NULL").toPandas()
    assert sorted(failed["error_code"]) == ["no_cell", "packed_base64", "packed_magic"]
    assert failed["error"].str.len().min() > 20
    assert failed["embedding"].isna().all()


@pytest.mark.long
def test_partitions_and_slices_change_no_row(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    found = []
    for number, (partitions, files) in enumerate([(1, 100), (5, 1)]):
        out = str(tmp_path / f"out{number}")
        job = Job(cells, out, checkpoint, partitions=partitions, files_per_commit=files)
        run(spark, job)
        found.append(vectors(rows_of(spark, cells, out)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.long
def test_a_table_made_anew_is_filled_anew(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    """The checkpoint of the first table, which lies beside it, says nothing about the second."""
    out = str(tmp_path / "out")
    run(spark, Job(cells, out, checkpoint))
    shutil.rmtree(out)
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert run(spark, Job(cells, out, checkpoint)).rows == 700


@pytest.mark.long
def test_many_commits(spark: SparkSession, checkpoint: str, tmp_path: Path) -> None:
    """Delta writes checkpoints of its log then, which both tables must be read through."""
    table, out = str(tmp_path / "table"), str(tmp_path / "out")
    pbmc_cells()[:60].write_h5ad(tmp_path / "some.h5ad")
    convert(spark, tmp_path / "some.h5ad", table, chunk=5)
    assert [*(tmp_path / "table" / "_delta_log").glob("*.checkpoint*.parquet")]
    assert convert(spark, tmp_path / "some.h5ad", table).resumed_at == 60
    done = run(spark, Job(table, out, checkpoint, files_per_commit=1))
    assert (done.put_in, done.rows) == (60, 60)
    assert [*(tmp_path / "out" / "_delta_log").glob("*.checkpoint*.parquet")]
    assert run(spark, Job(table, out, checkpoint)).put_in == 0


@pytest.mark.long
def test_failed_rows_are_tried_again_where_asked(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    run(spark, Job(cells, out, checkpoint))
    spark.sql(
        f"UPDATE delta.`{out}` SET error_code = 'out_of_memory', embedding = NULL "
        "WHERE matched_genes < 200"
    )
    broken = spark.read.format("delta").load(out).where("error_code IS NOT NULL").count()
    assert broken
    assert run(spark, Job(cells, out, checkpoint)).failed == broken
    done = run(spark, Job(cells, out, checkpoint, retry_failed=True))
    assert (done.put_in, done.failed, done.rows) == (broken, 0, 700)


@pytest.mark.long
def test_a_stopped_conversion_goes_on_and_a_changed_file_is_refused(
    spark: SparkSession, files: Path, tmp_path: Path
) -> None:
    table, source = str(tmp_path / "table"), tmp_path / "some.h5ad"
    pbmc_cells()[:60].write_h5ad(source)

    def stop_at_40(done: int, total: int) -> None:
        if done == 40:
            raise Stop

    with pytest.raises(Stop):
        convert(spark, source, table, chunk=20, progress=stop_at_40)
    assert count(spark, table) == 40
    assert convert(spark, source, table, chunk=7).resumed_at == 40
    assert convert(spark, source, table).resumed_at == 60
    found = spark.read.format("delta").load(table).orderBy("source_row").toPandas()
    assert list(found["source_row"]) == list(range(60))
    assert list(found["cell_id"]) == list(pbmc_cells()[:60].obs_names)
    pbmc_cells()[:50].write_h5ad(source)
    with pytest.raises(InvalidRequest) as refused:
        convert(spark, source, table)
    assert refused.value.code == "source_changed"
    assert "DELETE FROM" in refused.value.message


@pytest.mark.long
def test_one_piece_that_is_committed_twice_is_there_once(
    spark: SparkSession, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of two runs at once, each of which finds an empty table."""
    table = str(tmp_path / "table")
    pbmc_cells()[:20].write_h5ad(tmp_path / "some.h5ad")
    monkeypatch.setattr(converting, "_done", lambda *_: 0)
    convert(spark, tmp_path / "some.h5ad", table, chunk=10)
    convert(spark, tmp_path / "some.h5ad", table, chunk=10)
    assert count(spark, table) == 20


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cells": "./nowhere"}, "no_table"),
        ({"cells": "no such table"}, "invalid_table"),
        ({"embeddings": None}, "same_table"),
        ({"model": "/nowhere"}, "not_found"),
        ({"embeddings": "main.cells.embeddings"}, "no_checkpoint_folder"),
    ],
)
def test_a_job_that_cannot_run_is_refused(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path,
    change: dict[str, str | None], code: str,
) -> None:  # fmt: skip
    given = {"cells": cells, "embeddings": str(tmp_path / "out"), "model": checkpoint, **change}
    given["embeddings"] = given["embeddings"] or cells
    with pytest.raises(Exception) as refused:  # noqa: PT011 - the code is looked at
        run(spark, Job(**given))  # type: ignore[arg-type]
    assert getattr(refused.value, "code", None) == code
    assert not (tmp_path / "out").exists()


def test_a_table_without_cells_is_refused(
    spark: SparkSession, checkpoint: str, tmp_path: Path
) -> None:
    other = str(tmp_path / "other")
    spark.range(3).write.format("delta").save(other)
    with pytest.raises(InvalidRequest, match="no column packed; its columns: id") as refused:
        run(spark, Job(other, str(tmp_path / "out"), checkpoint))
    assert refused.value.code == "missing_columns"


@pytest.mark.long
def test_cells_of_other_genes_are_refused_before_any_is_embedded(
    spark: SparkSession, checkpoint: str, tmp_path: Path
) -> None:
    table, strange = str(tmp_path / "table"), pbmc_cells()[:30].copy()
    strange.var_names = [f"LOC{i}" for i in range(strange.n_vars)]
    strange.write_h5ad(tmp_path / "strange.h5ad")
    convert(spark, tmp_path / "strange.h5ad", table)
    with pytest.raises(InvalidRequest) as refused:
        run(spark, Job(table, str(tmp_path / "out"), checkpoint))
    assert refused.value.code == "no_known_gene"
    assert not (tmp_path / "out").exists()
