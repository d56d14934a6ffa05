"""Options that many commands take, each spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _environments(*, exists: bool) -> Callable[[F], F]:
    return click.option(
        "--environments",
        "folder",
        type=click.Path(path_type=Path, exists=exists, file_okay=False),
        help="Folder of the TOML files.  [default: SCGPT_ENVIRONMENTS or infra/environments]",
    )


def state_table(pairs: Mapping[str, str]) -> dict[str, Any]:
    """Return the table [state]; Terraform reads numbers and truth values from text as well."""
    options = {key: value for key, value in pairs.items() if key.startswith("options.")}
    table: dict[str, Any] = {key: value for key, value in pairs.items() if key not in options}
    if options:
        table["options"] = {key.removeprefix("options."): each for key, each in options.items()}
    return table


def _state(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, Any]:
    pairs = [entry.partition("=") for entry in given or ("backend=local",)]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise click.BadParameter(f"{wrong[0]!r} is no KEY=VALUE")
    return state_table({key: value for key, _, value in pairs})


state_option = click.option(
    "--state",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_state,
    help="Where Terraform keeps its state, as in the table [state]; further arguments of the "
    "backend as options.NAME=VALUE.  [default: backend=local]",
)

cloud_option = click.option(
    "--cloud",
    type=click.Choice(["aws", "azure", "gcp"]),
    help="Cloud of the workspace, where its address does not tell.",
)

environments_option = _environments(exists=True)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done; change nothing."
)

port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Loopback port of the local workspace.  [default: that of its last start, else 8765; "
    "where another program has it, the next free one]",
)


def environment_argument(command: F) -> F:
    """Take ``ENV`` and ``--environments DIR``."""
    return click.argument("environment", metavar="ENV")(environments_option(command))


def new_environment_argument(command: F) -> F:
    """Take ``ENV`` and ``--environments DIR``, where neither need exist yet."""
    return click.argument("environment", metavar="ENV")(_environments(exists=False)(command))
