"""``scgpt endpoint apply``: put right what no plan shows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import Group, json_option, reporter, show
from .options import dry_run_option, environment_argument

if TYPE_CHECKING:
    from ..deploy.endpoint import EndpointResult


@click.group(cls=Group)
def endpoint() -> None:
    """Put right what Terraform's provider does not see or send.

    \b
    Example:  scgpt endpoint apply dev --dry-run
    """


@endpoint.command()
@environment_argument
@dry_run_option
@json_option
def apply(environment: str, folder: Path | None, dry_run: bool, as_json: bool) -> None:
    """Make ENV as declared where no plan does.

    \b
    The endpoint: e-mail notifications; tags and AI Gateway after a deploy that
    failed half way. Warehouse, jobs, dashboard, schema, volumes and model: what
    somebody has cleared there. Terraform reads them anew. Exit code 3 for what
    nothing changes: an endpoint's budget policy, description, route optimisation.
    Example:  scgpt endpoint apply dev --dry-run
    """
    from ..deploy.endpoint import apply_endpoint

    result = apply_endpoint(environment, folder=folder, dry_run=dry_run, report=reporter())
    verb = "sent" if result.applied else "would send"
    lines = [f"{verb} {each.call}: {', '.join(each.fields)}" for each in result.sent]
    lines += [f"left to `scgpt deploy {environment}`: {each}" for each in result.left]
    counted = f"{len(result.changes)} change{'' if len(result.changes) == 1 else 's'}"
    lines.append(f"the {'next' if result.applied else 'present'} plan: {counted}")
    show(
        {
            "environment": environment,
            "applied": result.applied,
            "sent": [{"call": each.call, "fields": each.fields} for each in result.sent],
            "left": [asdict(each) for each in result.left],
            "changes": [{"address": c.address, "action": c.action} for c in result.changes],
        },
        as_json,
        "\n".join(lines),
        _then(environment, result),
    )


def _then(environment: str, result: EndpointResult) -> str:
    if result.sent and not result.applied:
        return "the same without --dry-run"
    pending = result.left or result.changes
    return f"scgpt deploy {environment}" if pending else f"scgpt verify {environment}"
