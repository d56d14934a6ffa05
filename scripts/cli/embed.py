"""``scgpt embed``, ``embed-file`` and ``smoke``: cells through an endpoint, or right here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from model.contract import Options
from scripts.cli.console import json_option, progress, show


@click.command()
@click.argument("environment")
@click.argument("cells", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="AnnData file to write (.h5ad)."
)
@click.option("--key", default="X_scGPT", show_default=True, help="Key of obsm.")
@click.option(
    "--chunk", type=click.IntRange(1), default=100, show_default=True, help="Cells per request."
)
@json_option
def embed(environment: str, cells: Path, out: Path, key: str, chunk: int, as_json: bool) -> None:
    """Embed the cells of an AnnData file through the environment's endpoint.

    \b
    .X holds raw, normalised or log1p counts; .var_names gene symbols.
    Example:  scgpt embed local pbmc.h5ad --out pbmc_scgpt.h5ad
    """
    import anndata

    from scripts.embed import embed_through_endpoint

    try:
        adata = anndata.read_h5ad(cells)
    except (OSError, KeyError) as error:
        raise click.BadParameter(f"{cells} is no AnnData file: {error}") from error
    with progress("embedding") as update:
        report = embed_through_endpoint(environment, adata, key=key, chunk=chunk, progress=update)
    out.parent.mkdir(parents=True, exist_ok=True)
    adata.write_h5ad(out)
    show(
        {**asdict(report), "cells": adata.n_obs, "file": str(out)},
        as_json,
        f'{adata.n_obs} cells in obsm["{key}"] of {out}; model {report.digest[:12]}',
    )


@click.command()
@click.argument("environment")
@json_option
def smoke(environment: str, as_json: bool) -> None:
    """Ask the environment's endpoint for three real cells.

    \b
    Example:  scgpt smoke local
    """
    from scripts.embed import smoke as ask

    report = ask(environment)
    show(asdict(report), as_json, f"{', '.join(report.served)} answers; model {report.digest[:12]}")


@click.command("embed-file")
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.argument("cells", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="AnnData file to write (.h5ad)."
)
@click.option("--key", default="X_scGPT", show_default=True, help="Key of obsm.")
@click.option(
    "--chunk",
    type=click.IntRange(1),
    default=2048,
    show_default=True,
    help="Cells in memory at a time.",
)
@click.option(
    "--min-known-fraction",
    type=click.FloatRange(0, 1),
    default=Options.min_known_fraction,
    show_default=True,
    help="Share of the counts that must lie in genes of the vocabulary; 0 refuses nothing.",
)
@click.option("--allow-imputed", is_flag=True, help="Take values that look imputed or smoothed.")
@json_option
def embed_file(
    checkpoint: Path,
    cells: Path,
    out: Path,
    key: str,
    chunk: int,
    min_known_fraction: float,
    allow_imputed: bool,
    as_json: bool,
) -> None:
    """Embed a file of any size on this machine, without an endpoint; resumable.

    \b
    Of the file only .X is read, chunk by chunk, so memory stays flat. A stopped
    run goes on where it was. Genes and values are judged as in a request.
    Example:  scgpt embed-file .local/demo/checkpoint atlas.h5ad --out atlas_scgpt.h5ad
    """
    from model.batch.file import embed_file as embed_in_chunks
    from model.embedder import Embedder

    with progress("embedding") as update:
        report = embed_in_chunks(
            cells,
            out,
            Embedder.load(checkpoint),
            key=key,
            chunk=chunk,
            min_known_fraction=min_known_fraction,
            allow_imputed=allow_imputed,
            progress=update,
        )
    show(
        {**asdict(report), "file": str(out)},
        as_json,
        f'{report.cells} cells in obsm["{key}"] of {out}; model {report.digest[:12]}'
        + (f"; went on after {report.resumed_at}" if report.resumed_at else ""),
    )
