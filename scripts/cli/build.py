"""``scgpt build``: make a checkpoint a registered, validated version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import err, json_option, show, step
from .options import (
    check_one_matrix,
    dry_run_option,
    environment_argument,
    layer_options,
    why_option,
)

if TYPE_CHECKING:
    from scgpt_databricks.model.evidence.labelled import Labelled

    from ..release.build import Built

_LONGEST_TAG = 1000  # characters, in Unity Catalog


@click.command()
@environment_argument
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory with best_model.pt, args.json and vocab.json.",
)
@click.option(
    "--allowed-path-prefix",
    "prefixes",
    multiple=True,
    help="Folder below /Volumes that input_data_path may name files of; repeatable. Default: none.",
)
@click.option(
    "--with-hvg",
    is_flag=True,
    help="Install scanpy in the served image, for subset_hvg; without it, it is refused there.",
)
@click.option(
    "--evaluate",
    "cells",
    type=click.Path(exists=True, path_type=Path, dir_okay=False),
    help="Labelled cells (.h5ad) to score it on, beside PCA and the champion.",
)
@click.option("--labels", metavar="COLUMN", help="Column of obs that holds their types.")
@click.option("--batches", metavar="COLUMN", help="Column of obs that holds their batches.")
@layer_options
@click.option("--licence", metavar="TEXT", help="Licence of the weights; kept as a tag.")
@click.option("--provenance", metavar="TEXT", help="Where the weights come from; kept as a tag.")
@click.option(
    "--clean-environment/--no-clean-environment",
    default=True,
    show_default=True,
    help="Validate with the logged requirements, installed anew by uv.",
)
@click.option("--force", is_flag=True, help="Register a new version even when an equal one exists.")
@click.option(
    "--release",
    "release_now",
    is_flag=True,
    help="Let ENV's release manifest name this version, in place of those that it names now.",
)
@why_option
@dry_run_option
@json_option
def build(
    environment: str,
    folder: Path | None,
    checkpoint: Path,
    prefixes: tuple[str, ...],
    with_hvg: bool,
    cells: Path | None,
    licence: str | None,
    provenance: str | None,
    clean_environment: bool,
    force: bool,
    release_now: bool,
    why: str,
    dry_run: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Register a validated version of a checkpoint for ENV.

    \b
    Validation installs what the model needs into a new environment, loads it
    in a process that cannot see this repository, serves it over HTTP and compares
    its answers with the engine.
    The first version of ENV, and every one of `local`, is released: the release
    manifest names it. Later ones are proposed: the manifest stays as it is, and
    the same command with --release releases them.
    Example:  scgpt build local --checkpoint .local/demo/checkpoint
              scgpt build dev --checkpoint whole-human \\
                --evaluate pbmc.h5ad --labels cell_type --batches donor \\
                --licence MIT --provenance "scGPT whole-human"
              scgpt build prod --checkpoint whole-human --with-hvg \\
                --allowed-path-prefix /Volumes/main/scgpt/artifacts
    """
    from scgpt_databricks.infra.settings import load

    load(environment, folder)
    _check_prefixes(prefixes)
    origin = _origin(licence=licence, provenance=provenance)
    labelled = _labelled(cells, **how)
    if dry_run:
        _check(checkpoint, labelled, as_json)
        return
    from ..release.build import build_for

    with step(f"building a version for {environment}"):
        built = build_for(
            environment,
            checkpoint,
            folder=folder,
            labelled=labelled,
            origin=origin,
            clean_environment=clean_environment,
            allowed_path_prefixes=prefixes,
            with_hvg=with_hvg,
            notify=lambda text: err.print(f"  {text}"),
            force=force,
            release_now=release_now,
            why=why,
        )
    show(
        {
            **asdict(built.version),
            "manifest": str(built.manifest),
            "released": built.released,
            "vocabulary": built.vocabulary,
        },
        as_json,
        _text(built),
        f"scgpt plan {environment}"
        if built.released
        else f"scgpt build {environment} --checkpoint {checkpoint} --release, to release it",
    )


def _text(built: Built) -> str:
    version = built.version
    how = "found" if version.reused else "registered"
    done = f"{how} {version.model} version {version.version}"
    if not version.validated:
        done += "; not validated in a clean environment"
    if version.parity is not None:
        done += f"\n  largest difference from upstream scGPT: {version.parity:.1e}"
    for name, score in version.metrics.items():
        done += f"\n  {name}: {score}"
    if built.released:
        return f"{done}\nmanifest: {built.manifest}"
    return f"{done}\nproposed: {built.manifest} stays as it is"


def _labelled(
    cells: Path | None, labels: str | None, batches: str | None, layer: str | None, raw: bool
) -> Labelled | None:
    """Read the cells to evaluate on, or refuse options that belong to none."""
    from scgpt_databricks.model.cells.counts_place import CountsPlace
    from scgpt_databricks.model.evidence.labelled import read_labelled

    if cells is None:
        if labels or batches or layer or raw:
            raise click.UsageError("--labels, --batches, --layer and --raw need --evaluate FILE")
        return None
    if labels is None:
        raise click.UsageError("--evaluate needs --labels COLUMN, the column of the cells' types")
    check_one_matrix(layer, raw)
    return read_labelled(cells, labels, batches, CountsPlace(layer, raw))


def _origin(**texts: str | None) -> dict[str, str]:
    """Return the tags that are given, or refuse what a tag cannot hold."""
    found = {name: text.strip() for name, text in texts.items() if text is not None}
    for name, text in found.items():
        if not 0 < len(text) <= _LONGEST_TAG or not text.isprintable():
            raise click.BadParameter(
                f"one line of 1 to {_LONGEST_TAG:,} characters, as a tag takes it",
                param_hint=f"--{name}",
            )
    return found


def _check_prefixes(prefixes: tuple[str, ...]) -> None:
    from scgpt_databricks.model.errors import CheckpointError
    from scgpt_databricks.model.serve.volumes import check_prefixes

    try:
        check_prefixes(prefixes)
    except CheckpointError as error:
        raise click.BadParameter(error.message, param_hint="--allowed-path-prefix") from error


def _check(checkpoint: Path, labelled: Labelled | None, as_json: bool) -> None:
    from scgpt_databricks.model.build import engine_digest
    from scgpt_databricks.model.scgpt.embedder import Embedder

    embedder = Embedder.load(checkpoint)
    show(
        {"checkpoint_sha256": embedder.digest, "engine_digest": engine_digest(), "dry_run": True},
        as_json,
        f"a complete checkpoint, digest {embedder.digest}"
        + (f"; {labelled}" if labelled else "")
        + "; nothing was logged",
        "the same without --dry-run",
    )
