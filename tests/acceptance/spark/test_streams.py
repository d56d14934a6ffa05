"""Streams that meet what happens to tables: a new column, an update, a second run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from scgpt_databricks.model.batch.spark.job import Done, Job, _Commits, run
from scgpt_databricks.model.errors import InvalidRequest

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]


def keys(spark: SparkSession, out: str) -> tuple[int, int]:
    """Return the rows, and the keys among them."""
    rows = spark.read.format("delta").load(out)
    return rows.count(), rows.select("cell_digest", "model_digest").distinct().count()


def test_a_new_column_in_mid_stream_ends_it_in_a_sentence(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    """The next run goes on, with rows that came before and after."""
    out = str(tmp_path / "out")
    changes = iter(
        (
            f"ALTER TABLE delta.`{cells}` ADD COLUMN donor string",
            f"INSERT INTO delta.`{cells}` SELECT 'more', 's', 0, 'x', 'AAAA', 'me'",
        )
    )

    def change(done: int, total: int) -> None:
        for statement in changes:
            spark.sql(statement)

    with pytest.raises(InvalidRequest) as refused:
        run(spark, Job(cells, out, checkpoint), every="1 second", progress=change)
    assert refused.value.code == "schema_changed"
    assert run(spark, Job(cells, out, checkpoint)).rows == 701
    assert keys(spark, out) == (701, 701)


def test_an_update_in_mid_stream_embeds_what_is_new_alone(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    stop, statements = threading.Event(), iter((f"UPDATE delta.`{cells}` SET cell_id = 'renamed'",))

    def update(done: int, total: int) -> None:
        for statement in statements:
            spark.sql(statement)
        if done >= 1400:
            stop.set()

    done = run(spark, Job(cells, out, checkpoint), every="1 second", stop=stop, progress=update)
    assert done.put_in == done.rows == 700
    assert keys(spark, out) == (700, 700)


def test_two_runs_into_one_table_lose_nothing(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")

    def one(number: int) -> Done | str:
        job = Job(cells, out, checkpoint, str(tmp_path / f"state{number}"), files_per_commit=1)
        try:
            return run(spark, job)
        except InvalidRequest as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        ended = [*pool.map(one, range(2))]
    assert all(isinstance(each, Done) or each == "two_runs" for each in ended), ended
    assert run(spark, Job(cells, out, checkpoint)).rows == 700
    assert keys(spark, out) == (700, 700)


def test_a_slice_that_fails_fails_the_run(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """Spark's own thread dies of a long message, and says nothing then."""
    out = str(tmp_path / "out")

    def broken(*_: object) -> None:
        raise ValueError("no heap space" + "\n\tat org.apache.spark" * 5_000)

    with monkeypatch.context() as patch:
        patch.setattr(_Commits, "_merge", broken)
        with pytest.raises(ValueError, match="no heap space"):
            run(spark, Job(cells, out, checkpoint))
    assert run(spark, Job(cells, out, checkpoint)).rows == 700


def test_a_stream_that_is_stopped_in_a_slice_goes_on_later(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path, monkeypatch: Any
) -> None:
    out, stop, merge = str(tmp_path / "out"), threading.Event(), _Commits._merge

    def stopped(*given: Any) -> None:
        stop.set()
        merge(*given)

    with monkeypatch.context() as patch:
        patch.setattr(_Commits, "_merge", stopped)
        run(spark, Job(cells, out, checkpoint), every="1 second", stop=stop)
    assert run(spark, Job(cells, out, checkpoint)).rows == 700
    assert keys(spark, out) == (700, 700)


def test_an_empty_table_of_cells_is_no_mistake(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    """A stream may begin before there are cells."""
    empty, out = str(tmp_path / "empty"), str(tmp_path / "out")
    table = spark.read.format("delta").load(cells)
    table.limit(0).write.format("delta").save(empty)
    assert run(spark, Job(empty, out, checkpoint)).rows == 0
    table.limit(5).write.format("delta").mode("append").save(empty)
    assert run(spark, Job(empty, out, checkpoint)).rows == 5
