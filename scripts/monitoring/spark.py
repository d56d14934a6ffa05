"""Unpacking on Databricks: the same rows as :mod:`.unpack`, through the job's Spark session.

How far a run came is a property of the requests table. MERGE leaves alone what is there, so a run
that was killed, or ran beside another, writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from scgpt_databricks.infra.monitoring import quoted
from scgpt_databricks.infra.monitoring.tables import TABLES, create
from scgpt_databricks.infra.naming import beside
from scgpt_databricks.model.evidence.reference import CELLS_OF_A_DATA_SET

from .rows import Entity, Means, Rows, source_columns, usable
from .samples import Read, Window
from .unpack import KINDS, Done

_ROWS_AT_A_TIME = 16
_ID = "databricks_request_id"
_NEW = "scgpt_new_rows"


def unpack(
    spark: Any,
    table: str,
    *,
    entities: Mapping[str, Entity],
    means: Means,
    source: str | None = None,
) -> Done:
    """Unpack what the inference table got since the last run; as :func:`.unpack.unpack`.

    Parameters
    ----------
    spark
        The session of the job.
    """
    logged = source or table
    filled = {kind: beside(table, kind) for kind in KINDS}
    for kind, name in filled.items():
        spark.sql(create(kind, name))
    version = int(spark.sql(f"DESCRIBE HISTORY {quoted(logged)} LIMIT 1").first()["version"])
    position = _position(spark, filled["requests"], logged)
    done = Done(logged)
    if position is not None and position >= version:
        return done
    before = {kind: spark.table(name).count() for kind, name in filled.items()}
    rows = _unread(spark, logged, filled["requests"], position, version)
    for kind in KINDS:
        ddl = ", ".join(f"{each.name} {each.kind}" for each in TABLES[kind])
        rows.mapInArrow(rows_of(kind, entities, means), ddl).createOrReplaceTempView(_NEW)
        keys = [_ID, "cell"] if kind == "cells" else [_ID]
        on = " AND ".join(f"old.{key} = new.{key}" for key in keys)
        spark.sql(
            f"MERGE INTO {quoted(filled[kind])} AS old USING {_NEW} AS new ON {on} "
            "WHEN NOT MATCHED THEN INSERT *"
        )
    spark.sql(
        f"ALTER TABLE {quoted(filled['requests'])} "
        f"SET TBLPROPERTIES ('{_property(logged)}' = '{version}')"
    )
    after = {kind: spark.table(name).count() - before[kind] for kind, name in filled.items()}
    done.requests, done.cells, done.set_aside = (
        after[kind] for kind in ("requests", "cells", "set_aside")
    )
    return done


def rows_of(
    kind: str, entities: Mapping[str, Entity], means: Means
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function that makes the rows of one table from rows of an inference table."""

    def make(batches: Iterator[Any]) -> Iterator[Any]:
        rows = Rows(entities, means)
        for batch in batches:
            for start in range(0, batch.num_rows, _ROWS_AT_A_TIME):
                fine, broken = usable(batch.slice(start, _ROWS_AT_A_TIME))
                if kind == "set_aside" and broken.num_rows:
                    yield broken
                if fine.num_rows:
                    yield rows.unpack(fine)[kind]

    return make


def _unread(spark: Any, logged: str, requests: str, position: int | None, version: int) -> Any:
    """Return the rows that were logged since a version; each request once, and none that is done.

    The change feed knows what was inserted, whatever was deleted or rewritten since.
    """
    if position is None:
        found = spark.read.option("versionAsOf", version).table(logged)
    else:
        reader = spark.read.option("readChangeFeed", "true")
        reader = reader.option("startingVersion", position + 1).option("endingVersion", version)
        found = reader.table(logged).where("_change_type = 'insert'")
    columns = source_columns(found.columns, logged)
    found = found.selectExpr(*(f"`{there}` AS {name}" for name, there in columns.items()))
    known = spark.table(requests).select(_ID)
    named = found.where(f"{_ID} IS NOT NULL").dropDuplicates([_ID]).join(known, _ID, "left_anti")
    return named.select(*columns).union(found.where(f"{_ID} IS NULL"))


def _position(spark: Any, requests: str, logged: str) -> int | None:
    properties = spark.sql(f"SHOW TBLPROPERTIES {quoted(requests)}").collect()
    found = {row["key"]: row["value"] for row in properties}.get(_property(logged))
    return None if found is None else int(found)


def _property(logged: str) -> str:
    return f"scgpt.unpacked.{logged}"


class SparkTables:
    """The tables of an environment, as a job on Databricks reads them; see :class:`.drift.Tables`.

    Of each data set the first cells are enough, so few of them leave Spark.
    """

    def __init__(self, spark: Any, table: str) -> None:
        self._spark, self._table = spark, table

    def reader(self, window: Window) -> Read:
        """Return a function that reads the rows of a window."""
        where = (
            f"request_time >= timestamp'{window.start.isoformat()}' "
            f"AND request_time < timestamp'{window.end.isoformat()}'"
        )

        def read(kind: str, columns: Sequence[str]) -> Any:
            first = (
                "QUALIFY row_number() OVER (PARTITION BY version, data_set "
                f"ORDER BY request_time, databricks_request_id, cell) <= {CELLS_OF_A_DATA_SET}"
                if kind == "cells"
                else ""
            )
            name = quoted(beside(self._table, kind))
            text = f"SELECT {', '.join(columns)} FROM {name} WHERE {where} {first}"  # noqa: S608 - quoted
            return iter(self._spark.sql(text).toArrow().to_batches())

        return read

    def last_looks(self) -> dict[int, datetime]:
        """Return the end of each version's last window."""
        name = quoted(beside(self._table, "drift"))
        rows = self._spark.sql(
            f"SELECT version, max(window_end) AS at FROM {name} GROUP BY version"  # noqa: S608 - quoted
        ).collect()
        return {row["version"]: row["at"].astimezone(UTC) for row in rows}

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append looks."""
        if rows:
            ddl = ", ".join(f"{each.name} {each.kind}" for each in TABLES["drift"])
            values = [[row.get(each.name) for each in TABLES["drift"]] for row in rows]
            made = self._spark.createDataFrame(values, ddl)
            made.write.mode("append").saveAsTable(beside(self._table, "drift"))
