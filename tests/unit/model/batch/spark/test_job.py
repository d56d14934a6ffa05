"""A slice of a run, without Spark."""

from __future__ import annotations

from typing import Any

import pytest

from scgpt_databricks.model.batch.spark.engines import Model
from scgpt_databricks.model.batch.spark.job import Job, _Commits


class Broken:
    """A slice that fails as Spark fails: with the stack of all its machines."""

    @property
    def sparkSession(self) -> Any:  # noqa: N802 - Spark's name
        raise ValueError("Java heap space" + "\n\tat org.apache.spark" * 5_000)


def test_a_slice_that_fails_is_kept_and_spark_gets_a_short_word() -> None:
    commits = _Commits(Model("m"), "digest", Job("./cells", "./out", "m"))
    with pytest.raises(RuntimeError) as told:
        commits.put(Broken(), 0)  # type: ignore[arg-type]
    assert len(str(told.value)) < 100
    assert told.value.__suppress_context__
    assert isinstance(commits.failure, ValueError)
