"""Options that many commands take, each spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable
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


environments_option = _environments(exists=True)

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done; change nothing."
)


def environment_argument(command: F) -> F:
    """Take ``ENV`` and ``--environments DIR``."""
    return click.argument("environment", metavar="ENV")(environments_option(command))


def new_environment_argument(command: F) -> F:
    """Take ``ENV`` and ``--environments DIR``, where neither need exist yet."""
    return click.argument("environment", metavar="ENV")(_environments(exists=False)(command))
