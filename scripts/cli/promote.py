"""``scgpt promote | approve | rollback | history``: which version an environment serves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import json_option, reporter, show, steps_done
from .options import (
    dry_run_option,
    environments_option,
    pull_request_option,
    reference_options,
    resume_option,
    settings_argument,
    why_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scgpt_databricks.infra.settings import Settings

    from ..ledger import Entry


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@environments_option
@click.option("--version", type=click.IntRange(min=1), help="Of SOURCE; default: its champion.")
@reference_options
@click.option(
    "--waive", "waived", multiple=True, help="Gate that may fail; needs --why; repeatable."
)
@why_option
@click.option("--keep-previous", is_flag=True, help="Keep the champion ready, without requests.")
@click.option(
    "--challenger", is_flag=True, help="Release nothing yet: `scgpt canary start TARGET` tries it."
)
@pull_request_option
@resume_option
@dry_run_option
@json_option
def promote(
    source: str,
    target: str,
    folder: Path | None,
    version: int | None,
    cells: Path | None,
    labels: str,
    waived: tuple[str, ...],
    why: str,
    keep_previous: bool,
    challenger: bool,
    pull_request: bool,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy a version of SOURCE to TARGET, judge it, and release it.

    \b
    TARGET's file names SOURCE as `promotion.source`. Gates judge the version
    beside the champion of TARGET; exit code 3 when one refuses. Cut off, the
    same command goes on from where it was.
    Example:  scgpt promote dev staging
              scgpt promote staging prod --pull-request
              scgpt promote staging prod --challenger
    """
    from scgpt_databricks.infra.settings import load

    if waived and not why.strip():
        raise click.UsageError("--waive needs --why: the reason stands in the history")
    if challenger and (pull_request or keep_previous):
        raise click.UsageError(
            "--challenger leaves the manifest as it is: name --pull-request at `scgpt canary "
            "start`, and leave --keep-previous out, since the champion goes on"
        )
    from ..gitops.github import append
    from ..release.promote import Request
    from ..release.promote import promote as run

    request = Request(
        load(source, folder),
        load(target, folder),
        version=version,
        cells=cells,
        labels=labels,
        waived=waived,
        why=why,
        keep_previous=keep_previous,
        challenger=challenger,
        pull_request=pull_request,
    )
    done = run(request, report=reporter(), dry_run=dry_run, resume=resume)
    append("GITHUB_STEP_SUMMARY", done.text)
    show(asdict(done), as_json, steps_done(done.steps), done.next)


@click.command()
@settings_argument
@click.argument("version", type=click.IntRange(min=1))
@dry_run_option
@json_option
def approve(settings: Settings, version: int, dry_run: bool, as_json: bool) -> None:
    """Approve a version for ENV in your own name.

    A promotion asks for it where the environment's file says so.

    \b
    Example:  scgpt approve prod 4
    """
    from ..release.approve import approve as run

    environment = settings.environment
    who = run(settings, version, dry_run=dry_run)
    again = f"scgpt promote {settings.promotion.source or 'SOURCE'} {environment}, again"
    show(
        {"environment": environment, "version": version, "approved_by": who, "dry_run": dry_run},
        as_json,
        f"version {version} {'would be' if dry_run else 'is'} approved for {environment} by {who}",
        "the same without --dry-run" if dry_run else again,
    )


@click.command()
@settings_argument
@click.option("--to", "version", type=click.IntRange(min=1), help="Default: the previous one.")
@why_option
@pull_request_option
@resume_option
@dry_run_option
@json_option
def rollback(
    settings: Settings,
    version: int | None,
    why: str,
    pull_request: bool,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let ENV serve its previous version again, at once.

    \b
    Requests move first, by the API; then the manifest says so too. A version
    that is still ready behind the endpoint needs no build.
    Example:  scgpt rollback prod --why "answers are slow"
    """
    from ..release.rollback import rollback as run

    done = run(
        settings,
        version,
        why=why,
        pull_request=pull_request,
        report=reporter(),
        dry_run=dry_run,
        resume=resume,
    )
    show(asdict(done), as_json, steps_done(done.steps), done.next)


@click.command()
@settings_argument
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Operations to show.",
)
@json_option
def history(settings: Settings, last: int, as_json: bool) -> None:
    """Show what was done to the versions of ENV, by whom and why.

    Example:  scgpt history prod
    """
    from ..connection import answering, workspace_client
    from ..ledger import Ledger

    environment = settings.environment
    with answering(settings):
        entries = Ledger(workspace_client(settings), settings).entries(last)
    none = f"{environment} has no history yet: builds and promotions write it"
    show(
        {"history": [entry.model_dump(mode="json") for entry in entries]},
        as_json,
        "\n".join(_history(entries)) or none,
        f"scgpt versions {environment}",
    )


def _history(entries: Sequence[Entry]) -> Iterator[str]:
    for each in entries:
        moved = (
            f"{_shares(each.before)} -> {_shares(each.after)}" if each.after else "nothing moved"
        )
        yield f"{each.at:%Y-%m-%d %H:%M}  {each.state:7}  {each.operation} {each.what}: {moved}"
        why = each.why or str(each.facts.get("refused", "")).partition("\n")[0]
        yield f"                  {each.by}{f': {why}' if why else ''}"


def _shares(shares: Mapping[int, int]) -> str:
    taking = {version: share for version, share in shares.items() if share}
    if len(taking) == 1:
        return f"version {next(iter(taking))}"
    return ", ".join(f"{version}: {share} %" for version, share in taking.items()) or "nothing"
