"""``scgpt demo``: make a small checkpoint and real cells to try everything with."""

from __future__ import annotations

from pathlib import Path

import click

from scgpt_databricks.whole_file import check_target, draft_in_any_order

from .console import Group, json_option, progress, show


@click.group(cls=Group)
def demo() -> None:
    """Make a small checkpoint and real cells to try with.

    \b
    Example:  scgpt demo checkpoint --out .local/demo/checkpoint
              scgpt demo cells --out .local/demo/pbmc.h5ad
    """


@demo.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Checkpoint directory to make."
)
@click.option(
    "--random", "untrained", is_flag=True, help="Same size, never trained: for comparison."
)
@click.option(
    "--train", "retrain", is_flag=True, help="Train it here: a minute of two cores of its own."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Seed of weights and sampling; any other than 0 is trained here.  [default: 0]",
)
@json_option
def checkpoint(out: Path, untrained: bool, retrain: bool, seed: int | None, as_json: bool) -> None:
    """Write a small checkpoint in scGPT's official form.

    \b
    It comes with this package; --train makes it anew by the same recipe. One of
    that recipe that is there already is kept.
    Example:  scgpt demo checkpoint --out .local/demo/checkpoint
    """
    from scgpt_databricks.model.scgpt.demo import (
        Recipe,
        copy_shipped,
        is_shipped,
        random_checkpoint,
        train,
    )

    seed = seed or 0
    if untrained:
        random_checkpoint(out, Recipe(seed=seed, steps=0))
    elif retrain or seed:
        with progress("training") as update:
            train(out, Recipe(seed=seed), update)
    else:
        copy_shipped(out)
    source = "random" if untrained else "shipped" if is_shipped(out) else "trained here"
    show(
        {"checkpoint": str(out), "trained": not untrained, "source": source},
        as_json,
        f"checkpoint: {out} ({source})",
        f"scgpt build local --checkpoint {out}",
    )


@demo.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="AnnData file to write (.h5ad)."
)
@json_option
def cells(out: Path, as_json: bool) -> None:
    """Write the 700 PBMC cells of scanpy to a file.

    \b
    Example:  scgpt demo cells --out pbmc.h5ad
    """
    from scgpt_databricks.model.scgpt.demo import pbmc_cells

    check_target(out)
    adata = pbmc_cells()
    with draft_in_any_order(out) as path:
        adata.write_h5ad(path)
    show(
        {"cells": adata.n_obs, "genes": adata.n_vars, "file": str(out)},
        as_json,
        f"{adata.n_obs} cells x {adata.n_vars} genes: {out}",
        f"scgpt embed local {out} --out embedded.h5ad",
    )
