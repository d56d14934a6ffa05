"""``scgpt spark``: tables of cells and of embeddings, on Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scgpt_databricks.model.cells.job_options import CELLS_PER_READ
from scgpt_databricks.model.contract import Options

from .console import Group, json_option, progress, show
from .options import Number, check_one_matrix, layer_options, pairs_of, several

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@click.group(cls=Group)
def spark() -> None:
    """Embed tables of cells on Spark.

    \b
    On a Databricks cluster the commands use its session. Elsewhere they start
    one on this machine, which needs Java 17 or 21, and Delta's jars (make jars).
    A TABLE is a name, catalog.schema.table, or a path, which holds a slash.
    Example:  scgpt spark convert pbmc.h5ad --into ./tables/cells
              scgpt spark embed ./tables/cells --model CHECKPOINT --into ./tables/embeddings
    """


session_options = several(
    click.option(
        "--master",
        default="local[*]",
        show_default=True,
        help="Where Spark runs, if no session runs yet.",
    ),
    click.option(
        "--jars",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(".local/jars"),
        show_default=True,
        help="Folder of Delta's jars.",
    ),
    click.option(
        "--conf",
        metavar="KEY=VALUE",
        multiple=True,
        callback=pairs_of,
        help="A setting of Spark, such as spark.driver.memory=4g.",
    ),
)


def _session(master: str, jars: Path, conf: Mapping[str, str]) -> SparkSession:
    from scgpt_databricks.model.batch.spark.session import session

    return session(master, jars, conf)


@spark.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILES"
)
@click.option("--into", required=True, metavar="TABLE", help="Table of cells to append to.")
@layer_options
@click.option("--gene-names", metavar="COLUMN", help="Column of var that names the genes.")
@click.option("--sum-duplicates", is_flag=True, help="Add up the columns of one gene name.")
@click.option("--allow-imputed", is_flag=True, help="Take values that look imputed or scaled.")
@click.option(
    "--chunk",
    type=click.IntRange(1),
    default=CELLS_PER_READ,
    show_default=True,
    help="Cells in memory at a time, and of a commit.",
)
@session_options
@json_option
def convert(
    files: tuple[Path, ...],
    into: str,
    layer: str | None,
    raw: bool,
    gene_names: str | None,
    sum_duplicates: bool,
    allow_imputed: bool,
    chunk: int,
    master: str,
    jars: Path,
    conf: dict[str, str],
    as_json: bool,
) -> None:
    """Append the cells of files to a table of cells.

    \b
    Takes .h5ad, zarr stores, 10x's .h5 and .mtx folders. One row is one cell,
    packed with the genes that it expresses. A stopped run goes on where it was.
    Example:  scgpt spark convert pbmc.h5ad --into ./tables/cells
              scgpt spark convert a.h5ad b.zarr --layer counts --into main.cells.raw
    """
    from scgpt_databricks.model.batch.spark.convert import convert as convert_file
    from scgpt_databricks.model.cells.counts_place import CountsPlace

    check_one_matrix(layer, raw)
    place = CountsPlace(layer, raw, gene_names, sum_duplicates)
    running = _session(master, jars, conf)
    done = []
    for file in files:
        with progress(f"converting {file.name}") as update:
            done.append(
                convert_file(
                    running,
                    file,
                    into,
                    place=place,
                    chunk=chunk,
                    allow_imputed=allow_imputed,
                    progress=update,
                )
            )
    lines = [
        f"{each.cells:,} cells of {each.source} in {into}"
        + (f"; {each.resumed_at:,} were there before" if each.resumed_at else "")
        for each in done
    ]
    result = {"table": into, "files": [asdict(each) for each in done]}
    show(
        result,
        as_json,
        "\n".join(lines),
        f"scgpt spark embed {into} --model CHECKPOINT --into {_beside(into)}",
    )


def _beside(table: str) -> str:
    return f"{table.rstrip('/')}_embeddings"


@spark.command()
@click.argument("cells", metavar="TABLE")
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    help="models:/catalog.schema.model/3, or a folder: a checkpoint, or a saved model.",
)
@click.option("--into", required=True, metavar="TABLE", help="Table of embeddings.")
@click.option(
    "--checkpoint",
    metavar="FOLDER",
    help="Where Spark keeps how far it is.  [default: beside --into, if that is a path]",
)
@click.option(
    "--follow", is_flag=True, help="Do not end: embed what is appended, until Ctrl-C or SIGTERM."
)
@click.option(
    "--every",
    default="10 seconds",
    show_default=True,
    help="With --follow: how often to look; with --files-per-commit the rate of a backfill.",
)
@click.option(
    "--files-per-commit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Files of TABLE that one commit takes at most.",
)
@click.option(
    "--partitions",
    type=click.IntRange(1),
    help="Tasks of a commit.  [default: two for each that runs at a time]",
)
@click.option(
    "--min-known-fraction",
    type=Number(0, 1),
    default=Options.min_known_fraction,
    show_default=True,
    help="Share of the counts that must lie in genes of the vocabulary; 0 refuses nothing.",
)
@click.option("--allow-imputed", is_flag=True, help="Take values that look imputed or scaled.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Type to compute in.  [default: float32 on CPUs, by the device on GPUs]",
)
@click.option("--retry-failed", is_flag=True, help="Try rows again that failed before.")
@session_options
@json_option
def embed(
    cells: str,
    into: str,
    follow: bool,
    every: str,
    master: str,
    jars: Path,
    conf: dict[str, str],
    as_json: bool,
    **how: Any,
) -> None:
    """Embed a table of cells into a table of embeddings.

    \b
    Each cell gets one row of each model, whatever is killed or run again. A row
    whose cell cannot be embedded says why. Of TABLE only `packed` is read.
    Example:  scgpt spark embed ./tables/cells --model CHECKPOINT --into ./tables/embeddings
              scgpt spark embed main.cells.raw --model models:/main.cells.scgpt/3 \\
                  --into main.cells.embeddings --checkpoint /Volumes/main/cells/state/v3
    """
    from scgpt_databricks.model.batch.spark.job import Job, run

    job = Job(cells, embeddings=into, **how)
    running = _session(master, jars, conf)
    with progress("embedding") as update:
        done = run(running, job, every=every if follow else None, progress=update)
    text = (
        f"{done.put_in:,} rows put into {job.embeddings}, which holds {done.rows:,} of model "
        f"{done.model_digest[:12]}; {done.failed:,} of them failed"
    )
    table = job.embeddings
    then = (
        f"spark.read.format('delta').load({table!r})" if "/" in table else f"spark.table({table!r})"
    )
    show({**asdict(done), "table": table}, as_json, text, then)
