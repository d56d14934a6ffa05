"""``scgpt init``: write the TOML file of a new environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .console import err, json_option, show
from .options import cloud_option, dry_run_option, new_environment_argument, state_option


@click.command()
@new_environment_argument
@click.option("--host", metavar="URL", help="Address of the workspace, as the browser shows it.")
@click.option("--local", is_flag=True, help="The local workspace on this machine, not a host.")
@click.option("--catalog", metavar="NAME", help="Catalog, which exists already.  [default: ENV]")
@click.option("--schema", metavar="NAME", help="Schema, which is made.  [default: scgpt]")
@click.option(
    "--endpoint",
    metavar="NAME",
    help="The endpoint's name.  [default: scgpt-serving, with -ENV where that is taken]",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="Profile of the Databricks configuration file, whose host is the default.",
)
@state_option
@cloud_option
@dry_run_option
@json_option
def init(
    environment: str,
    folder: Path | None,
    host: str | None,
    local: bool,
    catalog: str | None,
    schema: str | None,
    endpoint: str | None,
    profile: str | None,
    state: dict[str, Any],
    cloud: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the TOML file of a new environment.

    \b
    Five lines are enough; in a terminal, what is not given is asked for.
    Exit code 3 when there is such a file already.
    Example:  scgpt init trial --local --catalog dev
              scgpt init lab --host https://dbc-1.cloud.databricks.com --catalog lab
    """
    from ..new_environment import address, address_of, new_environment

    if local and host:
        raise click.UsageError("--local and --host are two workspaces: give one of them")
    asks = sys.stdin.isatty() and not as_json
    if profile and not (host or local):
        host = address_of(profile)
    if not (host or local):
        if not asks:
            raise click.UsageError("give --host URL, --profile NAME or --local")
        asked = "Address of the workspace (empty: the local workspace on this machine)"
        host = click.prompt(asked, default="", show_default=False, err=True)
    if catalog is None:
        catalog = click.prompt("Catalog", default=environment, err=True) if asks else environment
    new = new_environment(
        environment,
        host=address(host) if host else None,
        catalog=catalog,
        schema=schema,
        endpoint=endpoint,
        profile=profile,
        cloud=cloud,
        state=state,
        folder=folder,
        dry_run=dry_run,
    )
    start = ["scgpt workspace start"] if new.settings.is_local else []
    elsewhere = [f"export SCGPT_ENVIRONMENTS={new.path.parent}"] if folder else []
    following = [*elsewhere, *start, f"scgpt plan {environment}"]
    if not as_json:
        err.print(f"{'would be written' if dry_run else 'written'}: {new.path}", soft_wrap=True)
    show(
        {"path": str(new.path), "written": not dry_run, "text": new.text},
        as_json,
        new.text,
        following,
    )
