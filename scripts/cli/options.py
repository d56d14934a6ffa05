"""What many commands take, said in one way: the environment and where its file lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FOLDER_HELP = "Folder of the TOML files.  [default: SCGPT_ENVIRONMENTS or infra/environments]"

environments_option = click.option(
    "--environments",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help=FOLDER_HELP,
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Plan only; change nothing.")


def environment_argument(command: F) -> F:
    """``ENV`` and ``--environments DIR``."""
    return click.argument("environment", metavar="ENV")(environments_option(command))
