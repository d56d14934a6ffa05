"""``scgpt plan | deploy | destroy | env``: change an environment the safe way."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from .console import REFUSED, json_option, judged, reporter, show
from .options import dry_run_option, environment_argument, settings_argument

if TYPE_CHECKING:
    from scgpt_databricks.infra.settings import Settings

    from ..deploy import DeployResult, PlanResult


@click.command()
@environment_argument
@json_option
def plan(environment: str, folder: Path | None, as_json: bool) -> None:
    """Show what a deploy of ENV would change.

    \b
    Says what the guards think of it, too. Exit code 3 when one of them refuses.
    Example:  scgpt plan dev
    """
    from ..deploy import plan as plan_environment

    result = plan_environment(environment, folder=folder, report=reporter())
    show(_as_dict(result), as_json, _text(result), _after_plan(result))
    if result.refused:
        raise SystemExit(REFUSED)


@click.command()
@environment_argument
@dry_run_option
@click.option(
    "--reviewed",
    metavar="DIGEST",
    callback=lambda _context, _param, value: check_digest(value),
    help="Apply only the plan with this digest, which `scgpt plan` printed for review.",
)
@json_option
def deploy(
    environment: str, folder: Path | None, dry_run: bool, reviewed: str | None, as_json: bool
) -> None:
    """Plan ENV, judge the plan, apply exactly that plan, and verify.

    \b
    Exit code 3 when a guard refuses, or the plan is not the reviewed one; then
    nothing was changed.
    Example:  scgpt deploy local
    """
    from ..deploy import deploy as deploy_environment

    result = deploy_environment(
        environment, folder=folder, dry_run=dry_run, reviewed=reviewed, report=reporter()
    )
    if dry_run:
        then = _after_plan(result.plan)
    elif result.plan.released:
        then = f"scgpt smoke {environment}"
    else:
        then = _build(environment)
    _show_result(result, as_json, "deployed", then)


@click.command()
@settings_argument
@dry_run_option
@click.option("--yes", is_flag=True, help="Do not ask; for the local workspace only.")
@click.option("--confirm", metavar="NAME", help="Do not ask: the environment's name once more.")
@json_option
def destroy(
    settings: Settings, dry_run: bool, yes: bool, confirm: str | None, as_json: bool
) -> None:
    """Destroy all that ENV declares, and what is in it.

    \b
    Endpoint, model with all versions, volumes, schema and its tables go. Asks for
    the environment's name. Exit code 3 while ENV has deletion protection, and for
    production without a waiver.
    Example:  scgpt destroy local --yes
              scgpt destroy dev --confirm dev
    """
    from ..deploy import destroy as destroy_environment

    environment, names = settings.environment, settings.names
    if yes and not settings.is_local:
        raise click.UsageError(
            f"--yes is for the local workspace only; use --confirm {environment}"
        )
    if confirm is None and not (yes or dry_run):
        confirm = click.prompt(
            f"This destroys endpoint {names.endpoint}, {names.full_model} with all its versions, "
            f"and everything in {names.full_schema}.\nThe environment's name, to go on",
            err=True,
        )
    if confirm is not None and confirm != environment:
        raise click.UsageError(f"{confirm!r} is not {environment!r}: nothing was destroyed")
    folder = settings.folder
    result = destroy_environment(environment, folder=folder, dry_run=dry_run, report=reporter())
    again = f"scgpt deploy {environment}"
    then = f"scgpt destroy {environment} --confirm {environment}" if dry_run else again
    _show_result(result, as_json, "destroyed", then)


@click.command()
@settings_argument
@json_option
def env(settings: Settings, as_json: bool) -> None:
    """Print the variables with which other tools reach ENV.

    \b
    For bare cdktf, Terraform, databricks-sdk and mlflow. None of them is a secret.
    Example:  eval "$(scgpt env local)" && npx cdktf deploy 'local-*'
    """
    from ..connection import require_own_login, workspace_client
    from ..deploy import foreign_variables, terraform_variables

    require_own_login(settings)
    variables, foreign = terraform_variables(settings), foreign_variables(settings)
    if settings.deployer is None and (settings.builder or settings.planner):
        # Whoever deploys stays in the lists of these roles.
        me = workspace_client(settings).current_user.me().user_name
        variables["SCGPT_DEPLOYER"] = str(me)
    lines = [f"unset {name}" for name in foreign]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    then = f"npx cdktf deploy '{settings.environment}-*', in the shell that has them"
    if as_json:
        show({"set": variables, "unset": foreign}, True, "", then)
        return
    # A shell takes these lines, and a comment without a word.
    click.echo("\n".join([*lines, f"# next: {then}"]))


def check_digest(value: str | None) -> str | None:
    """Refuse what no plan can have as its digest, before one is made."""
    if value is not None and not re.fullmatch("[0-9a-f]{64}", value):
        raise click.BadParameter(
            f"{value!r} is no digest of a plan: 64 of 0-9 and a-f, as `scgpt plan` prints it"
        )
    return value


def _show_result(result: DeployResult, as_json: bool, done: str, then: str) -> None:
    what = done if result.applied else "nothing was changed"
    show(
        {
            **_as_dict(result.plan),
            "applied": result.applied,
            "verified": result.verified,
            "seconds": round(result.seconds, 1),
        },
        as_json,
        _text(result.plan).append(f"\n{what} in {result.seconds:.1f} s"),
        then,
    )


def _after_plan(result: PlanResult) -> str:
    name = result.environment
    if result.refused:
        return f"mend what is refused, then scgpt plan {name}"
    if result.changes:
        return f"scgpt deploy {name}"
    return f"scgpt verify {name}" if result.released else _build(name)


def _build(name: str) -> str:
    return f"scgpt build {name} --checkpoint DIR, then scgpt deploy {name}"


def _as_dict(result: PlanResult) -> dict[str, Any]:
    return {
        "environment": result.environment,
        "provider": result.provider,
        "changes": result.changes,
        "refused": result.refused,
        "plan_digest": None if result.refused else result.digest,
        "stacks": {
            stack.stack: {
                "changes": [{"address": c.address, "action": c.action} for c in stack.plan.changes],
                "findings": [asdict(finding) for finding in stack.findings],
            }
            for stack in result.stacks
        },
        "findings": [asdict(finding) for finding in result.of_environment],
    }


def _text(result: PlanResult) -> Text:
    """Return the changes of all stacks; below them, in colour, what the guards say to them."""
    from ..gitops.plan_text import fields

    counted = f"{result.changes} change{'' if result.changes == 1 else 's'}"
    lines = [Text(f"{result.environment}: {counted}, by {result.provider}")]
    for stack in result.stacks:
        for change in stack.plan.changes:
            lines.append(Text(f"  {stack.stack}: {change.action} {change.address}"))
            lines += [Text(f"    {line}") for line in fields(change)]
    lines += [
        judged(each, f"{stack.stack}: ") for stack in result.stacks for each in stack.findings
    ]
    lines += [judged(each) for each in result.of_environment]
    if not result.refused:
        lines.append(Text(f"digest {result.digest}"))
    return Text("\n").join(lines)
