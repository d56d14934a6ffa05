"""``scgpt adopt``: take over an endpoint that was made elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import json_option, reporter, show
from .options import cloud_option, dry_run_option, new_environment_argument, state_option

if TYPE_CHECKING:
    from ..adopt import Adoption


@click.command()
@new_environment_argument
@click.option("--endpoint", metavar="NAME", required=True, help="The endpoint to take over.")
@click.option(
    "--profile",
    metavar="NAME",
    help="Profile of the Databricks configuration file.  [default: the shell's login]",
)
@state_option
@cloud_option
@click.option(
    "--blocks",
    is_flag=True,
    help="Write import blocks, which the next deploy applies; leave the state alone.",
)
@dry_run_option
@json_option
def adopt(
    environment: str,
    folder: Path | None,
    endpoint: str,
    profile: str | None,
    state: dict[str, Any],
    cloud: str | None,
    blocks: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take over an endpoint that was made elsewhere, as ENV.

    \b
    Writes the TOML file, the release manifest and Terraform's state; only reads
    the workspace. Says first what the first deploy would add or change.
    Exit code 3 when the endpoint cannot be described, or ENV says something else.
    Example:  scgpt adopt adopted --endpoint scgpt-serving --profile prod --dry-run
    """
    from ..adopt import adopt as adopt_endpoint

    result = adopt_endpoint(
        endpoint,
        environment=environment,
        profile=profile,
        folder=folder,
        state=state,
        cloud=cloud,
        blocks=blocks,
        dry_run=dry_run,
        report=reporter(),
    )
    changes = [{**asdict(each), "adds_only": each.adds_only} for each in result.changes]
    show({**asdict(result), "changes": changes}, as_json, _text(result, blocks), _then(result))


def _text(result: Adoption, blocks: bool) -> str:
    would = "" if result.applied else "would be "
    taken = sum(len(stack) for stack in result.imports.values())
    lines = [
        f"{result.endpoint} {would}adopted as {result.environment}: {taken} resources",
        *(f"  {would}written: {path}" for path in result.files),
        *(f"  note: {note}" for note in result.notes),
    ]
    if result.changes:
        lines.append("the first deploy will")
        for change in result.changes:
            lines.append(f"  {change.stack}: {change.action} {change.address}")
            lines += [f"    {field}" for field in change.fields]
    else:
        only = "nothing but import" if blocks else "change nothing"
        lines.append(f"the first deploy will {only}")
    return "\n".join(lines)


def _then(result: Adoption) -> str:
    return f"scgpt plan {result.environment}" if result.applied else "the same without --dry-run"
