"""``scgpt plan | deploy | destroy | env``: an environment, the safe way."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scripts.cli.console import err, json_option, show

if TYPE_CHECKING:
    from scripts.deploy import DeployResult, PlanResult

F = TypeVar("F", bound=Callable[..., Any])

_REFUSED = 3


def _environment(command: F) -> F:
    """``ENV`` and ``--environments DIR``."""
    folder = click.option(
        "--environments",
        "folder",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Folder of the TOML files.  [default: SCGPT_ENVIRONMENTS or infra/environments]",
    )
    return click.argument("environment", metavar="ENV")(folder(command))


_dry_run = click.option("--dry-run", is_flag=True, help="Plan only; change nothing.")


@click.command()
@_environment
@json_option
def plan(environment: str, folder: Path | None, as_json: bool) -> None:
    """Show what a deploy of ENV would change, and what the guards say to it.

    \b
    Exit code 3 when a guard refuses.
    Example:  scgpt plan dev
    """
    from scripts.deploy import plan as plan_environment

    result = plan_environment(environment, folder=folder, report=_reporter())
    show(_as_dict(result), as_json, _text(result))
    if result.refused:
        raise SystemExit(_REFUSED)


@click.command()
@_environment
@_dry_run
@json_option
def deploy(environment: str, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    """Deploy ENV: plan, guard, apply exactly that plan, verify by API.

    \b
    Exit code 3 when a guard refuses; nothing is changed then.
    Example:  scgpt deploy local
    """
    from scripts.deploy import deploy as deploy_environment

    result = deploy_environment(environment, folder=folder, dry_run=dry_run, report=_reporter())
    _show_result(result, as_json, "deployed")


@click.command()
@_environment
@_dry_run
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def destroy(environment: str, folder: Path | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Destroy ENV: endpoint, model with all versions, volume, schema and what is in it.

    \b
    Refused (exit code 3) while the environment has deletion protection.
    Example:  scgpt destroy local --yes
    """
    from infra.settings import load
    from scripts.deploy import destroy as destroy_environment

    names = load(environment, folder).names
    if not (yes or dry_run):
        click.confirm(
            f"Destroy endpoint {names.endpoint}, {names.full_model} with all its versions, and "
            f"everything in {names.full_schema}?",
            abort=True,
            err=True,
        )
    result = destroy_environment(environment, folder=folder, dry_run=dry_run, report=_reporter())
    _show_result(result, as_json, "destroyed")


@click.command()
@_environment
@json_option
def env(environment: str, folder: Path | None, as_json: bool) -> None:
    """Print the variables with which bare cdktf, Terraform, SDK and mlflow reach ENV.

    \b
    None of them is a secret.
    Example:  eval "$(scgpt env local)" && npx cdktf deploy 'local-*'
    """
    from infra.settings import load
    from scripts.connection import foreign_variables
    from scripts.deploy import terraform_variables

    loaded = load(environment, folder)
    variables, foreign = terraform_variables(loaded), foreign_variables(loaded)
    if as_json:
        show({"set": variables, "unset": foreign}, True, "")
        return
    for name in foreign:
        click.echo(f"unset {name}")
    for name, value in sorted(variables.items()):
        click.echo(f"export {name}={shlex.quote(value)}")


def _reporter() -> Callable[[str], None]:
    """Progress on stderr, each line with the seconds since the start."""
    started = time.monotonic()

    def report(line: str) -> None:
        err.print(f"{time.monotonic() - started:6.1f} s  {line}", markup=False, soft_wrap=True)

    return report


def _show_result(result: DeployResult, as_json: bool, done: str) -> None:
    what = done if result.applied else "nothing was changed"
    show(
        {
            **_as_dict(result.plan),
            "applied": result.applied,
            "verified": result.verified,
            "seconds": round(result.seconds, 1),
        },
        as_json,
        f"{_text(result.plan)}\n{what} in {result.seconds:.1f} s",
    )


def _as_dict(result: PlanResult) -> dict[str, Any]:
    return {
        "environment": result.environment,
        "provider": result.provider,
        "changes": result.changes,
        "refused": result.refused,
        "stacks": {
            stack.stack: {
                "changes": [{"address": a, "action": action} for a, action in stack.changes],
                "findings": [asdict(finding) for finding in stack.findings],
            }
            for stack in result.stacks
        },
    }


def _text(result: PlanResult) -> str:
    counted = f"{result.changes} change{'' if result.changes == 1 else 's'}"
    lines = [f"{result.environment}: {counted}, by {result.provider}"]
    for stack in result.stacks:
        lines += [f"  {stack.stack}: {action} {address}" for address, action in stack.changes]
        lines += [f"  {stack.stack}: {finding.severity}: {finding}" for finding in stack.findings]
    return "\n".join(lines)
