"""``scgpt build``: a checkpoint becomes a registered, validated version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .console import err, json_option, show, step
from .options import environment_argument


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
@click.option("--force", is_flag=True, help="Register a new version even when an equal one exists.")
@click.option(
    "--dry-run", is_flag=True, help="Read and check the checkpoint; log and register nothing."
)
@json_option
def build(
    environment: str,
    folder: Path | None,
    checkpoint: Path,
    prefixes: tuple[str, ...],
    with_hvg: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Register a validated version of a checkpoint for ENV.

    \b
    Validation loads the logged model in a process that cannot see this
    repository, serves it over HTTP and compares its answers with the engine.
    Example:  scgpt build local --checkpoint .local/demo/checkpoint
              scgpt build prod --checkpoint whole-human --with-hvg \\
                --allowed-path-prefix /Volumes/main/scgpt/artifacts
    """
    from scgpt_databricks.infra.settings import load

    load(environment, folder)
    _check_prefixes(prefixes)
    if dry_run:
        _check(checkpoint, as_json)
        return
    from ..release.build import build_for

    with step(f"building a version for {environment}"):
        result, manifest = build_for(
            environment,
            checkpoint,
            folder=folder,
            allowed_path_prefixes=prefixes,
            with_hvg=with_hvg,
            notify=lambda text: err.print(f"  {text}"),
            force=force,
        )
    how = "found" if result.reused else "registered"
    show(
        {**asdict(result), "manifest": str(manifest)},
        as_json,
        f"{how} {result.model} version {result.version}; manifest: {manifest}",
    )


def _check_prefixes(prefixes: tuple[str, ...]) -> None:
    from scgpt_databricks.model.errors import CheckpointError
    from scgpt_databricks.model.serve.volumes import check_prefixes

    try:
        check_prefixes(prefixes)
    except CheckpointError as error:
        raise click.BadParameter(error.message, param_hint="--allowed-path-prefix") from error


def _check(checkpoint: Path, as_json: bool) -> None:
    from scgpt_databricks.model.build import engine_digest
    from scgpt_databricks.model.scgpt.embedder import Embedder

    embedder = Embedder.load(checkpoint)
    show(
        {"checkpoint_sha256": embedder.digest, "engine_digest": engine_digest(), "dry_run": True},
        as_json,
        f"a complete checkpoint, digest {embedder.digest}; nothing was logged",
    )
