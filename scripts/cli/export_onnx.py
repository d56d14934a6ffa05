"""``scgpt export-onnx``: a checkpoint as a package that needs no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import err, json_option, show, step
from .options import check_one_matrix, dry_run_option, layer_options

if TYPE_CHECKING:
    from scgpt_databricks.model.cells.cells import Cells


@click.command("export-onnx")
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path, file_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the package."
)
@click.option(
    "--cells",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Real cells (.h5ad) on which the export is checked.  [default: 700 PBMC]",
)
@layer_options
@click.option(
    "--log-to",
    metavar="ENV",
    help="Log it to the run of ENV's version of this checkpoint too.",
)
@dry_run_option
@json_option
def export_onnx(
    checkpoint: Path,
    out: Path,
    cells: Path | None,
    layer: str | None,
    raw: bool,
    log_to: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Export a checkpoint to ONNX, with all that it takes to run it.

    \b
    The package embeds an .h5ad or a .csv where only onnxruntime, numpy and h5py
    are installed, in float32 or int8. It is kept only if its float32 rows equal
    the engine's on real cells (1e-5); what int8 loses is measured and told.
    Example:  scgpt export-onnx .local/demo/checkpoint --out scgpt-edge
              python scgpt-edge/embed.py pbmc.h5ad --out pbmc_scgpt.h5ad
    """
    from scgpt_databricks.model.edge.export import check_folder, export

    check_one_matrix(layer, raw)
    chosen = _cells(cells, layer, raw)
    check_folder(out)
    if dry_run:
        text = f"{chosen.counts.shape[0]} cells would check the export; nothing was written"
        show({"folder": str(out), "dry_run": True}, as_json, text, "the same without --dry-run")
        return
    with step(f"exporting {checkpoint}"):
        report = export(checkpoint, out, chosen, lambda text: err.print(f"  {text}"))
    logged = _log(log_to, report.checkpoint_sha256, out) if log_to else None
    text = (
        f"{out}: float32 rows of {report.cells} cells differ from the engine's by "
        f"{report.difference:.1e} at most\n"
        f"int8 keeps {report.int8_overlap:.1%} of the 15 nearest cells, cosine "
        f"{report.int8_cosine:.4f} or more"
    )
    text += f"\nlogged as {logged}" if logged else ""
    show(
        {**asdict(report), "logged": logged},
        as_json,
        text,
        f"python {out}/embed.py CELLS.h5ad --out OUT.h5ad",
    )


def _cells(path: Path | None, layer: str | None, raw: bool) -> Cells:
    from scgpt_databricks.model.cells.counts_place import CountsPlace
    from scgpt_databricks.model.cells.h5ad import read_cells
    from scgpt_databricks.model.cells.in_memory import cells_of_anndata
    from scgpt_databricks.model.scgpt.demo import pbmc_cells

    if path is not None:
        return read_cells(path, place=CountsPlace(layer, raw))
    if layer is not None or raw:
        raise click.UsageError("--layer and --raw need --cells FILE")
    return cells_of_anndata(pbmc_cells(), columns=())


def _log(environment: str, digest: str, folder: Path) -> str:
    from scgpt_databricks.infra.settings import load
    from scgpt_databricks.model.edge.logged import log_beside, version_of

    from ..connection import use_mlflow

    settings = load(environment)
    use_mlflow(settings)
    return log_beside(version_of(settings.names.full_model, digest), folder)
