"""``scgpt guard | verify``: judge a plan, compare a workspace with what is declared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from .console import REFUSED, err, json_option, judged, out, reporter, show
from .options import environment_argument, environments_option

if TYPE_CHECKING:
    from ..deploy.verify import Difference

_COLUMNS = ("resource", "field", "declared", "found")
_WIDE = 240


@click.command()
@click.argument("environment", metavar="[ENV]", required=False)
@environments_option
@click.option(
    "--plan",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The plan, as `terraform show -json` prints it; -: from stdin.",
)
@json_option
def guard(environment: str | None, folder: Path | None, plan: Path, as_json: bool) -> None:
    """Judge a Terraform plan that was made anywhere.

    \b
    With ENV, its settings and its workspace are asked too; without it, the checks
    that were skipped are named. Exit code 3 when a guard refuses.
    Example:  terraform show -json deploy.tfplan | scgpt guard dev --plan -
    """
    from ..deploy.guarding import judge

    found = judge(plan, environment, folder)
    lines = [judged(finding) for finding in found.findings]
    lines += [Text(f"skipped: {check}: {reason}") for check, reason in found.skipped.items()]
    lines.append(Text("refused" if found.refused else "may be applied"))
    show(
        {
            "refused": found.refused,
            "findings": [asdict(finding) for finding in found.findings],
            "skipped": found.skipped,
        },
        as_json,
        Text("\n").join(lines),
        _after_guard(found.refused, environment),
    )
    if found.refused:
        raise SystemExit(REFUSED)


def _after_guard(refused: bool, environment: str | None) -> str:
    if refused:
        return "mend what is refused, and plan anew"
    return f"apply that very plan, then scgpt verify {environment or 'ENV'}"


@click.command()
@environment_argument
@json_option
def verify(environment: str, folder: Path | None, as_json: bool) -> None:
    """Compare what ENV declares with what its workspace says.

    \b
    An empty plan is no proof: the provider does not see every field.
    Exit code 1 when they differ.
    Example:  scgpt verify prod
    """
    from scgpt_databricks.infra.settings import load

    from ..deploy import verify_environment

    found = verify_environment(environment, folder=folder, report=reporter())
    if not found:
        text, then = f"{environment}: as declared", f"scgpt status {environment}"
        if not load(environment, folder).manifest_path.exists():
            then = f"scgpt build {environment} --checkpoint DIR, then scgpt deploy {environment}"
        show(as_dict(environment, found), as_json, text, then)
        return
    if not as_json:
        print_table(found)
        err.print(f"{environment}: the workspace differs from what is declared")
    show(
        as_dict(environment, found),
        as_json,
        f"to put it back: `scgpt deploy {environment}`; what its plan does not see is sent by "
        f"`scgpt endpoint apply {environment}`. To keep it: declare it in {environment}.toml",
        f"scgpt plan {environment}",
    )
    raise SystemExit(1)


def as_dict(environment: str, found: list[Difference]) -> dict[str, Any]:
    """Return differences for programs."""
    return {"environment": environment, "differences": [asdict(each) for each in found]}


def print_table(found: list[Difference]) -> None:
    """Print differences for people."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(*(Column(name, overflow="fold") for name in _COLUMNS))
    for each in found:
        table.add_row(each.resource, each.field, str(each.declared), str(each.found))
    # In a file or a pipe nobody gains from narrow columns.
    console = out if out.is_terminal else Console(width=_WIDE)
    console.print(table, markup=False)
