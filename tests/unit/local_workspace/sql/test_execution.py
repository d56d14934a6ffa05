"""Tables as DuckDB reads them: files of one shape by itself, others through Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pytest
from deltalake import write_deltalake

from scgpt_databricks.local_workspace.sql import execution
from scgpt_databricks.local_workspace.sql.query import Query

pa: Any = pyarrow
FIRST, SECOND = {"day": ["mon", "tue"], "n": [1, 2]}, {"day": ["tue"], "n": [3]}


def ask(text: str, folder: Path) -> list[Any]:
    """Return the rows of a statement over one table, ``t``."""
    query = Query(text, ("t",))
    with execution.connect(query, {"t": str(folder)}, lambda _: pytest.fail("asked")) as connection:
        return connection.execute(text).fetchall()


@pytest.mark.parametrize("partitions", [None, ["day"]])
def test_every_row_is_read_however_the_files_lie(tmp_path: Path, partitions: Any) -> None:
    for rows in (FIRST, SECOND):
        write_deltalake(tmp_path / "t", pa.table(rows), mode="append", partition_by=partitions)
    found = ask("SELECT day, sum(n) FROM t GROUP BY day ORDER BY day", tmp_path / "t")
    assert found == [("mon", 1), ("tue", 5)]


def test_a_column_that_came_later_is_null_in_older_rows(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.table(FIRST))
    later = pa.table({**SECOND, "who": ["ann"]})
    write_deltalake(tmp_path / "t", later, mode="append", schema_mode="merge")
    assert ask("SELECT n, who FROM t ORDER BY n", tmp_path / "t") == [
        (1, None),
        (2, None),
        (3, "ann"),
    ]


def test_a_table_without_rows_has_columns(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.table(FIRST).slice(0, 0))
    assert ask("SELECT count(n) FROM t", tmp_path / "t") == [(0,)]


def test_a_statement_reads_the_files_of_its_tables_and_no_other(tmp_path: Path) -> None:
    for name in ("t", "other"):
        write_deltalake(tmp_path / name, pa.table(FIRST))
    (secret,) = (tmp_path / "other").glob("*.parquet")
    with pytest.raises(duckdb.PermissionException, match="disabled"):
        ask(f"SELECT * FROM t, read_parquet('{secret}')", tmp_path / "t")
