"""``scgpt build``: make a checkpoint a registered, validated version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import err, json_option, show, step
from .options import dry_run_option, environment_argument

if TYPE_CHECKING:
    from ..release.build import Built


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
    "--release",
    "release_now",
    is_flag=True,
    help="Let ENV's release manifest name this version, in place of those that it names now.",
)
@dry_run_option
@json_option
def build(
    environment: str,
    folder: Path | None,
    checkpoint: Path,
    prefixes: tuple[str, ...],
    with_hvg: bool,
    force: bool,
    release_now: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Register a validated version of a checkpoint for ENV.

    \b
    Validation loads the logged model in a process that cannot see this
    repository, serves it over HTTP and compares its answers with the engine.
    The first version of ENV, and every one of `local`, is released: the release
    manifest names it. Later ones are proposed: the manifest stays as it is, and
    the same command with --release releases them.
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
        built = build_for(
            environment,
            checkpoint,
            folder=folder,
            allowed_path_prefixes=prefixes,
            with_hvg=with_hvg,
            notify=lambda text: err.print(f"  {text}"),
            force=force,
            release_now=release_now,
        )
    show(
        {**asdict(built.version), "manifest": str(built.manifest), "released": built.released},
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
    if built.released:
        return f"{done}; manifest: {built.manifest}"
    return f"{done}; proposed: {built.manifest} stays as it is"


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
        "the same without --dry-run",
    )
