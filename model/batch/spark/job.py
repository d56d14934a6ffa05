"""A Delta table of cells in, a Delta table of embeddings out: each cell once, whatever stops it.

Both ends of a run are one stream: new rows of the table of cells are read in slices, and each slice
is one commit. A slice is taken apart by the digest of its rows, cells that have an embedding of
this model are left out, and the rest is embedded and put in by an insert-only MERGE. A slice that
is done again therefore changes nothing, and no row depends on the slices or partitions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...contract import PACKED, Options
from ...errors import InvalidRequest
from .embed import (
    CELL_DIGEST,
    EMBEDDING_COLUMNS,
    EMBEDDING_DDL,
    ERROR_CODE,
    JUDGED_DDL,
    MODEL_DIGEST,
    Judged,
    embedding,
    judging,
)
from .engines import Model, find_model
from .tables import check_columns, columns_of, path_of, reference, sentences

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

Progress = Callable[[int, int], None]
JUDGED = 2048  # cells that say if the table is fit for the model; as for files
_DIGEST = f"sha2(coalesce({PACKED}, ''), 256) AS {CELL_DIGEST}"
_KEY = f"t.{CELL_DIGEST} = n.{CELL_DIGEST} AND t.{MODEL_DIGEST} = n.{MODEL_DIGEST}"


@dataclass(frozen=True)
class Job:
    """Names the table of cells, the model that embeds them, and the table of embeddings.

    Parameters
    ----------
    cells
        The table of cells, by name or path. Only its column ``packed`` is read.
    embeddings
        The table of embeddings; it is made where it is missing.
    model
        As ``find_model`` takes it.
    checkpoint
        Folder where Spark keeps how far it is, in a folder for both tables and the model. By
        default beside the table of embeddings, which must be a path then.
    files_per_commit
        Files of the table of cells that one commit takes at most. It bounds the rate of a backfill
        and what a kill costs.
    partitions
        Tasks of a commit; by default two for each that runs at a time.
    min_known_fraction, allow_imputed
        As in a request; judged of the table's first ``JUDGED`` rows.
    precision
        As ``Embedder.load`` takes it.
    retry_failed
        Try rows again that failed before.
    """

    cells: str
    embeddings: str
    model: str
    checkpoint: str | None = None
    files_per_commit: int = 100
    partitions: int | None = None
    min_known_fraction: float = Options.min_known_fraction
    allow_imputed: bool = Options.allow_imputed
    precision: str | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class Done:
    """The result of a run.

    Parameters
    ----------
    model_digest
        The model's digest.
    put_in
        Rows that this run put in.
    failed, rows
        Rows of this model in the table now: with a reason instead of a vector, and in all. Cells
        with equal counts share one.
    """

    model_digest: str
    put_in: int
    failed: int
    rows: int


def run(
    spark: SparkSession,
    job: Job,
    *,
    every: str | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Done:
    """Embed the cells that have no embedding of this model yet.

    Parameters
    ----------
    spark
        The session.
    job
        The job.
    every
        Go on for good with what is appended, looking this often (``10 seconds``); None: end when
        all cells that are there now are done.
    stop
        Ends a run that goes on for good, after its commit.
    progress
        Called with (rows read, rows of the table of cells when the run began).

    Raises
    ------
    InvalidRequest
        ``no_table``, ``missing_columns``, ``wrong_type``, ``invalid_table``, ``same_table``,
        ``no_checkpoint_folder``; ``two_runs``, ``disk_full``, ``schema_changed``; and what the
        judgement of the cells refuses.
    CheckpointError
        As ``find_model``.
    """
    with sentences():
        model, judged = prepare(spark, job)
        commits = _Commits(model, judged.model_digest, job)
        if job.retry_failed:
            commits.retry(spark)
        query = _start(spark, job, commits, every)
        total = spark.table(reference(job.cells)).count() if progress else 0
        _watch(query, commits, stop, progress, total)
        return commits.done(spark)


def prepare(spark: SparkSession, job: Job) -> tuple[Model, Judged]:
    """Check both tables, find the model, and let it judge the first cells."""
    if reference(job.cells) == reference(job.embeddings):
        raise InvalidRequest(
            "same_table", f"{job.cells} is both the table of cells and of embeddings; name two."
        )
    _base(job)
    check_columns(columns_of(spark, job.cells), {PACKED: "string"}, job.cells)
    model = find_model(spark, job.model, job.precision)
    judged = judge(spark.table(reference(job.cells)), model, job)
    _make(spark, job.embeddings)
    return model, judged


def judge(cells: DataFrame, model: Model, job: Job) -> Judged:
    """Let a worker judge the first cells of a table as a request of them would be."""
    check = judging(model, job.min_known_fraction, allow_imputed=job.allow_imputed)
    # A row that is no cell: of a table without rows Spark would ask no worker.
    none = cells.sparkSession.range(1).selectExpr(f"CAST(NULL AS string) AS {PACKED}")
    rows = cells.select(PACKED).limit(JUDGED).union(none)
    some = rows.selectExpr(_DIGEST, PACKED).coalesce(1)
    (row,) = some.mapInArrow(check, JUDGED_DDL).collect()
    judged = Judged(*row)
    if judged.code:
        raise InvalidRequest(judged.code, judged.message)
    return judged


def embedded(cells: DataFrame, model: Model) -> DataFrame:
    """Return the embeddings of a table or stream of cells: one row of equal cells, in no order."""
    from pyspark.sql.pandas.types import from_arrow_schema

    # A type and no text: a pipeline's function may not ask the server to read one.
    schema = from_arrow_schema(EMBEDDING_COLUMNS)
    rows = cells.selectExpr(_DIGEST, PACKED).dropDuplicates([CELL_DIGEST])
    return rows.mapInArrow(embedding(model), schema)


def _make(spark: SparkSession, table: str) -> None:
    found = columns_of(spark, table)
    if found is None:
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS {reference(table)} ({EMBEDDING_DDL}) USING delta "
            f"PARTITIONED BY ({MODEL_DIGEST})"
        )
        return
    wanted = dict(each.split(" ") for each in EMBEDDING_DDL.split(", "))
    check_columns(found, wanted, table)


@dataclass
class _Commits:
    """Puts one slice after another into the table of embeddings."""

    model: Model
    model_digest: str
    job: Job
    put_in: int = 0
    failure: Exception | None = None

    def put(self, cells: DataFrame, _: int) -> None:
        """Embed those of a slice that are new, and put them in; keep the failure of one.

        Spark matches what is raised here against a pattern that needs a frame of the stack for each
        character. A long message ends its thread without a word, as if the stream had ended well.
        """
        try:
            self._put(cells)
        except Exception as error:  # noqa: BLE001 - `_ended` raises it
            self.failure = error
            raise RuntimeError("the slice failed") from None

    def _put(self, cells: DataFrame) -> None:
        spark = cells.sparkSession
        new = self._once(spark, cells).join(self._ours(spark), CELL_DIGEST, "left_anti")
        self._merge(spark, new, "WHEN NOT MATCHED THEN INSERT *")

    def retry(self, spark: SparkSession) -> None:
        """Embed the cells that failed before; those that fail again stay as they are."""
        failed = self._ours(spark).where(f"{ERROR_CODE} IS NOT NULL")
        again = self._once(spark, spark.table(reference(self.job.cells)))
        self._merge(
            spark,
            again.join(failed, CELL_DIGEST, "left_semi"),
            f"WHEN MATCHED AND t.{ERROR_CODE} IS NOT NULL AND n.{ERROR_CODE} IS NULL "
            "THEN UPDATE SET *",
        )

    def _merge(self, spark: SparkSession, cells: DataFrame, then: str) -> None:
        new = cells.select(CELL_DIGEST, PACKED).mapInArrow(embedding(self.model), EMBEDDING_DDL)
        new.createOrReplaceTempView("scgpt_new")
        (row,) = spark.sql(
            f"MERGE INTO {reference(self.job.embeddings)} t USING scgpt_new n "
            f"ON {_KEY} AND t.{MODEL_DIGEST} = '{self.model_digest}' {then}"
        ).collect()
        self.put_in += int(row["num_affected_rows"])

    def _once(self, spark: SparkSession, cells: DataFrame) -> DataFrame:
        """Return each cell once, in tasks of about equal size."""
        tasks = self.job.partitions or _tasks(spark)
        rows = cells.selectExpr(_DIGEST, PACKED).repartition(tasks, CELL_DIGEST)
        return rows.dropDuplicates([CELL_DIGEST])

    def _ours(self, spark: SparkSession) -> DataFrame:
        """Return the rows of this model that are in the table."""
        table = spark.table(reference(self.job.embeddings))
        return table.where(f"{MODEL_DIGEST} = '{self.model_digest}'")

    def done(self, spark: SparkSession) -> Done:
        """Count what is in the table now."""
        row = self._ours(spark).selectExpr("count(*)", f"count({ERROR_CODE})").first()
        rows, failed = (row[0], row[1]) if row else (0, 0)
        return Done(self.model_digest, self.put_in, failed, rows)


def _tasks(spark: SparkSession) -> int:
    """Return two tasks for each that runs at a time; Spark Connect does not say how many do."""
    try:
        return 2 * int(spark.sparkContext.defaultParallelism)
    except Exception:  # noqa: BLE001 - Connect raises an error of a package that may be missing
        return int(str(spark.conf.get("spark.sql.shuffle.partitions")))


def _start(spark: SparkSession, job: Job, commits: _Commits, every: str | None) -> StreamingQuery:
    where = _checkpoint(spark, job, commits.model_digest)
    cells = cells_stream(spark, job.cells, job.files_per_commit)
    writer = cells.writeStream.foreachBatch(commits.put).option("checkpointLocation", where)
    trigger: dict[str, Any] = {"processingTime": every} if every else {"availableNow": True}
    return writer.trigger(**trigger).start()


def cells_stream(spark: SparkSession, table: str, files: int = Job.files_per_commit) -> DataFrame:
    """Read a table of cells as a stream. Rows that an UPDATE writes anew come again.

    Parameters
    ----------
    files
        Files of one slice at most.
    """
    source = spark.readStream.format("delta").option("maxFilesPerTrigger", files)
    source = source.option("ignoreChanges", "true")
    path = path_of(table)
    return source.table(reference(table)) if path is None else source.load(path)


def _base(job: Job) -> str:
    """Return the folder that holds the folders of checkpoints."""
    path = path_of(job.embeddings)
    base = job.checkpoint or (path and f"{path}_checkpoint")
    if base is None:
        raise InvalidRequest(
            "no_checkpoint_folder",
            f"{job.embeddings} is a table by name, so name a folder where Spark keeps how far it "
            "is: --checkpoint /Volumes/CATALOG/SCHEMA/VOLUME/FOLDER.",
        )
    return base.rstrip("/")


def _checkpoint(spark: SparkSession, job: Job, model_digest: str) -> str:
    """Name the folder by tables and model: a table that is made anew is read from its beginning."""
    ids = [
        str(spark.sql(f"DESCRIBE DETAIL {reference(table)}").collect()[0]["id"])[:8]
        for table in (job.cells, job.embeddings)
    ]
    return "/".join([_base(job), "-".join([*ids, model_digest[:16]])])


def _watch(
    query: StreamingQuery,
    commits: _Commits,
    stop: threading.Event | None,
    progress: Progress | None,
    total: int,
) -> None:
    """Wait for the end of a stream, and tell how far it is."""
    told: dict[int, int] = {}
    ended = False
    try:
        while not (ended or (stop is not None and stop.is_set())):
            ended = _ended(query, commits)
            for each in query.recentProgress:
                told[int(each["batchId"])] = int(each["numInputRows"])
            if progress and told:
                progress(sum(told.values()), total)
    finally:
        query.stop()


def _ended(query: StreamingQuery, commits: _Commits) -> bool:
    """Wait a second for the end of a stream; raise what ended it."""
    try:
        return bool(query.awaitTermination(1))
    finally:
        if commits.failure is not None:
            raise commits.failure
