"""``scgpt embed | embed-file | smoke``: embed cells through an endpoint, or right here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scgpt_databricks.model.cells.job_options import CELLS_PER_READ, CELLS_PER_REQUEST, OBSM_KEY
from scgpt_databricks.model.contract import Options
from scgpt_databricks.model.errors import InvalidRequest

from .console import err, json_option, progress, show
from .options import (
    Number,
    check_one_matrix,
    environment_argument,
    raw_option,
    settings_argument,
    several,
)

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings
    from scgpt_databricks.model.batch.many import FileStatus
    from scgpt_databricks.model.batch.run import FileReport

F = TypeVar("F", bound=Callable[..., Any])

cells_options = several(
    click.argument("cells", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        required=True,
        help=".h5ad: a copy of the cells with embeddings. .csv, .parquet, .npy: these alone. Of "
        "several files: a folder, which gets an .h5ad for each. .delta: a Delta table of all.",
    ),
    click.option("--again", is_flag=True, help="Of several files: those that are done, too."),
    click.option("--key", default=OBSM_KEY, show_default=True, help="Key of obsm to write."),
    click.option(
        "--layer",
        metavar="NAME",
        help="The counts are in this layer, or in X.  [default: where counts are found]",
    ),
    raw_option,
    click.option(
        "--gene-names",
        metavar="COLUMN",
        help="Column of var that names the genes, or index.  [default: the index, or "
        "feature_name, gene_symbols, gene_name where the index holds ids]",
    ),
    click.option("--sum-duplicates", is_flag=True, help="Add up the columns of one gene name."),
    click.option(
        "--min-known-fraction",
        type=Number(0, 1),
        default=Options.min_known_fraction,
        show_default=True,
        help="Share of the counts that must lie in genes of the vocabulary; 0 refuses nothing.",
    ),
    click.option(
        "--allow-imputed", is_flag=True, help="Take values that look imputed or smoothed."
    ),
)


def _chunk_option(default: int, what: str) -> Callable[[F], F]:
    return click.option(
        "--chunk", type=click.IntRange(1), default=default, show_default=True, help=what
    )


@click.command()
@settings_argument
@cells_options
@_chunk_option(CELLS_PER_REQUEST, "Cells per request.")
@json_option
def embed(
    settings: Settings,
    cells: tuple[Path, ...],
    out: Path,
    again: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Embed the cells of files through ENV's endpoint.

    \b
    CELLS is an .h5ad, a zarr store, 10x's .h5, or a folder with its matrix.mtx.
    .X, a layer or .raw holds raw, normalised or log1p counts; .var_names gene symbols.
    A stopped run goes on where it was; of several files, one that fails leaves
    the others to be done. Exit code 1: not all files are embedded.
    Example:  scgpt embed local pbmc.h5ad --out pbmc_scgpt.h5ad
              scgpt embed prod scaled.h5ad --raw --out embedded.h5ad
              scgpt embed prod donor1.h5ad donor2.zarr --out embedded/
    """
    from scgpt_databricks.model.batch.through_endpoint import (
        embed_file_through,
        embed_files_through,
    )

    from ..embed import endpoint_of

    check_one_matrix(how["layer"], how["raw"])
    many = _are_many(cells, out)
    params = {name: how.pop(name) for name in ("min_known_fraction", "allow_imputed")}
    how["params"], endpoint = params, endpoint_of(settings)
    with _wrong_file_is_wrong_usage(), progress("embedding") as update:
        if many:
            found = embed_files_through(
                cells, out, endpoint, again=again, tell=_tell, progress=update, **how
            )
        else:
            done, report = embed_file_through(cells[0], out, endpoint, progress=update, **how)
    if many:
        _show_files(found, out, how["key"], as_json)
    else:
        _show_file(done, out, how["key"], as_json, **asdict(report))


@click.command()
@environment_argument
@json_option
def smoke(environment: str, folder: Path | None, as_json: bool) -> None:
    """Ask ENV's endpoint for the embeddings of three real cells.

    \b
    Says on which device, in which type and with which torch they were computed.
    Fails where the endpoint is not ready, or answers with no proper vectors.
    Example:  scgpt smoke local
    """
    from ..embed import smoke as ask

    report = ask(environment, folder)
    found = report.device
    computes = f"on {found.name} ({found.precision}, torch {found.torch})"
    text = f"{', '.join(report.served)} answers; model {report.model_digest[:12]}"
    if found.name is not None:
        text += f"; {computes}"
    show(asdict(report), as_json, text, f"scgpt embed {environment} CELLS.h5ad --out OUT.h5ad")


@click.command("embed-file")
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path, file_okay=False))
@cells_options
@_chunk_option(CELLS_PER_READ, "Cells in memory at a time.")
@json_option
def embed_file(
    checkpoint: Path,
    cells: tuple[Path, ...],
    out: Path,
    again: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Embed files of any size on this machine, without an endpoint.

    \b
    Reads only the matrix, chunk by chunk, so memory stays flat. A stopped run
    goes on where it was. Genes and values are judged as in a request.
    Example:  scgpt embed-file .local/demo/checkpoint atlas.h5ad --out atlas_scgpt.h5ad
              scgpt embed-file whole-human atlas.h5ad --layer counts --out atlas_scgpt.h5ad
              scgpt embed-file whole-human donors/*.h5ad --out embedded/
    """
    from scgpt_databricks.model.batch.file import embed_file as embed_in_chunks
    from scgpt_databricks.model.batch.many import embed_files
    from scgpt_databricks.model.scgpt.embedder import Embedder

    check_one_matrix(how["layer"], how["raw"])
    many = _are_many(cells, out)
    embedder = Embedder.load(checkpoint)

    def one(source: Path, target: Path, progress: Callable[[int, int], None] | None) -> FileReport:
        return embed_in_chunks(source, target, embedder, progress=progress, **how)

    with _wrong_file_is_wrong_usage(), progress("embedding") as update:
        if many:
            job = {"digest": embedder.digest, **{k: v for k, v in how.items() if k != "chunk"}}
            found = embed_files(cells, out, one, job, again=again, tell=_tell, progress=update)
        else:
            done = one(cells[0], out, update)
    if many:
        _show_files(found, out, how["key"], as_json)
    else:
        _show_file(done, out, how["key"], as_json)


def _are_many(cells: tuple[Path, ...], out: Path) -> bool:
    """Say if files are embedded one by one, with a record of each."""
    return len(cells) > 1 or out.suffix.lower() == ".delta"


def _tell(status: FileStatus) -> None:
    reason = f": {status.message}" if status.message else ""
    failed = f", {status.failed} of them failed" if status.failed else ""
    cells = f" ({status.cells} cells{failed})" if status.cells else ""
    err.print(f"  {status.source}: {status.status}{cells}{reason}", markup=False, soft_wrap=True)


def _show_files(found: Sequence[FileStatus], out: Path, key: str, as_json: bool) -> None:
    from scgpt_databricks.model.batch.many import two_models

    counted = Counter(each.status for each in found)
    mixed, done = two_models(found), sum(each.is_done for each in found)
    text = "\n".join([*(f"{each.source} -> {each.target}: {each.status}" for each in found)])
    text += f"\n{done} of {len(found)} files are embedded"
    text += "" if done == len(found) else "; run the command again for the others"
    text += f"\n{mixed}" if mixed else ""
    result = {"files": [asdict(each) for each in found], **counted, "two_models": mixed}
    if done < len(found):
        then = "mend what failed, then the same command"
    elif mixed:
        then = "the same command with --again"
    else:
        then = _reading(out if out.suffix.lower() == ".delta" else Path(found[0].target), key)
    show(result, as_json, text, then)
    raise SystemExit(0 if done == len(found) and not mixed else 1)


def _show_file(done: FileReport, out: Path, key: str, as_json: bool, **more: Any) -> None:
    place = f'in obsm["{key}"] of {out}' if out.suffix.lower() in ("", ".h5ad") else f"in {out}"
    text = f"{done.cells} cells {place}; model {done.model_digest[:12]}"
    text += f"; went on after {done.resumed_at}" if done.resumed_at else ""
    text += f"\n{done.note}" if done.note else ""
    if done.failed:
        text += f"\n{done.failed} of them failed: rows of NaN, the reason in obs['scgpt_status']"
    show({**asdict(done), **more, "file": str(out)}, as_json, text, _reading(out, key))


def _reading(out: Path, key: str) -> str:
    """Return the line of Python with which the result is used."""
    reads = {
        ".csv": "pandas.read_csv({!r}, index_col=0)",
        ".parquet": "pandas.read_parquet({!r})",
        ".npy": "numpy.load({!r})",
        ".delta": "deltalake.DeltaTable({!r}).to_pandas()",
    }
    if read := reads.get(out.suffix.lower()):
        return read.format(str(out))
    return f"cells = anndata.read_h5ad({str(out)!r}); scanpy.pp.neighbors(cells, use_rep={key!r})"


@contextmanager
def _wrong_file_is_wrong_usage() -> Iterator[None]:
    try:
        yield
    except InvalidRequest as error:
        is_named_wrongly = error.code == "invalid_target" and error.__cause__ is None
        if error.code != "not_anndata" and not is_named_wrongly:
            raise  # a cause is a disk's trouble
        raise click.BadParameter(error.message) from error
