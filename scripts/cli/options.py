"""Options that many commands take, each spelled and explained once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.types import FloatRange

F = TypeVar("F", bound=Callable[..., Any])


def several(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Take options, which the help lists in this order."""

    def take(command: F) -> F:
        return functools.reduce(lambda taken, option: option(taken), reversed(options), command)

    return take


def _environments(*, exists: bool) -> Callable[[F], F]:
    return click.option(
        "--environments",
        "folder",
        type=click.Path(path_type=Path, exists=exists, file_okay=False),
        help="Folder of the TOML files.  [default: SCGPT_ENVIRONMENTS or infra/environments]",
    )


class Number(FloatRange):
    """A finite number within bounds: NaN passes those of click, and then no wait ends."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return found


def state_table(pairs: Mapping[str, str]) -> dict[str, Any]:
    """Return the table [state]; Terraform reads numbers and truth values from text as well."""
    options = {key: value for key, value in pairs.items() if key.startswith("options.")}
    table: dict[str, Any] = {key: value for key, value in pairs.items() if key not in options}
    if options:
        table["options"] = {key.removeprefix("options."): each for key, each in options.items()}
    return table


def pairs_of(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Return what was given as KEY=VALUE."""
    pairs = [entry.partition("=") for entry in given]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise click.BadParameter(f"{wrong[0]!r} is no KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _state(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, Any]:
    return state_table(pairs_of(context, parameter, given or ("backend=local",)))


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

why_option = click.option("--why", default="", help="Reason, for the history of the environment.")
pull_request_option = click.option(
    "--pull-request", is_flag=True, help="Put the manifest on a branch, for review."
)
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with what the same command began on another machine."
)

raw_option = click.option(
    "--raw", is_flag=True, help="The counts are in raw, which has its own genes."
)
layer_options = several(
    click.option("--layer", metavar="NAME", help="The counts are in this layer.  [default: in X]"),
    raw_option,
)
reference_options = several(
    click.option(
        "--cells",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Labelled cells (.h5ad) to measure on.  [default: 700 PBMC]",
    ),
    click.option(
        "--labels", default="bulk_labels", show_default=True, help="Their column of types."
    ),
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


def settings_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take ``ENV`` and ``--environments DIR``; hand the command the settings."""

    @functools.wraps(command)
    def run(environment: str, folder: Path | None, **given: Any) -> Any:
        from scgpt_databricks.infra.settings import load

        return command(load(environment, folder), **given)

    return environment_argument(run)


def check_one_matrix(layer: str | None, raw: bool) -> None:
    """Refuse two places of the counts."""
    if raw and layer is not None:
        raise click.UsageError("give --layer or --raw, not both")
