"""A plan as reviewers read it: one comment per environment, updated in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scgpt_databricks.infra import settings
from scgpt_databricks.infra.errors import InfraError
from scgpt_databricks.infra.settings import Settings

from ..deploy import PlanResult
from ..deploy import plan as plan_environment
from ..deploy.results import counted
from . import versions
from .endpoint import split
from .github import (
    BODY_LIMIT,
    ROOM_FOR_THE_END,
    Repository,
    commit,
    plan_line,
    plan_marker,
    pull_request_number,
)
from .markdown import bullets, code, fenced, folded, plain
from .plan_text import lines
from .words import sentences


@dataclass(frozen=True)
class Review:
    """One environment's plan as reviewers see it."""

    environment: str
    markdown: str
    plan_digest: str | None
    """None where there is none that could be applied."""
    changes: int
    refused: bool
    """True where a guard refuses the plan."""


def review(
    name: str, *, folder: Path | None = None, report: Callable[[str], None] = lambda _: None
) -> Review:
    """Plan an environment and describe the plan; nothing is changed or posted.

    Raises
    ------
    InfraError
        When settings or manifest are wrong, or Terraform fails.
    """
    planned = plan_environment(name, folder=folder, report=report)
    return describe(planned, *_users(planned, settings.load(name, folder)))


def describe(planned: PlanResult, said: list[str], comparison: str = "") -> Review:
    """Return the review of a plan.

    ``said`` holds a sentence for each change that users notice; ``comparison`` shows the versions
    side by side, where they change.
    """
    name = planned.environment
    digest = None if planned.refused else planned.digest
    head = f"{plan_line(name, digest)}\n\n### {name}: {_counted(planned.changes)}"
    guards, promise = _guards(planned, BODY_LIMIT // 2), _promise(name, planned)
    # Guards are cut last, then sentences; the plan gets what is left.
    taken = sum(map(len, (head, comparison, guards, promise)))
    users = _for_users(said, (BODY_LIMIT - taken) // 2)
    text = "\n\n".join(part for part in (head, users, comparison, guards, promise) if part)
    if planned.changes:
        room = BODY_LIMIT - len(text) - ROOM_FOR_THE_END
        text += "\n\n" + folded_plan(planned, room)
    return Review(name, text + "\n", digest, planned.changes, planned.refused)


def unplannable(name: str, error: Exception) -> Review:
    """The review of an environment that cannot be planned: says why, and has no digest."""
    text = "\n\n".join(
        [
            plan_line(name, None),
            f"### {name}: cannot be planned",
            quoted(reason(error)),
            "A merge deploys nothing here until this is put right.",
        ]
    )
    return Review(name, text + "\n", None, 0, getattr(error, "exit_code", 1) == 3)


def quoted(message: str) -> str:
    """An error's text as it is, in Markdown."""
    # All of it may be backticks, which the fences around it then have as well.
    return fenced(message[: BODY_LIMIT // 4].splitlines(), "text")


def reason(error: Exception) -> str:
    """An error as the public may read it; what nobody expected may hold a value of the plan."""
    from databricks.sdk.errors import DatabricksError

    if isinstance(error, InfraError | DatabricksError):
        return str(error)
    return f"{type(error).__name__}, which nobody expected: see the log of the job"


def post_review(found: Review) -> str:
    """Write the review into the comment of this job's pull request; return its address.

    Raises
    ------
    GitHubError
        When no pull request started this job, or GitHub refuses.
    """
    marker = plan_marker(found.environment)
    return Repository.of_this_job().put_comment(pull_request_number(), marker, found.markdown)


def _users(planned: PlanResult, loaded: Settings) -> tuple[list[str], str]:
    """Return a sentence per change for users, and the versions side by side, in Markdown."""
    plans = [stack.plan for stack in planned.stacks]
    said, moved = sentences(plans), split(plans)
    if moved is None:
        return said, ""
    # Imported late: the client takes a second, and most plans leave the versions alone.
    from ..connection import answering, workspace_client

    model = loaded.names.full_model
    with answering(loaded):
        client = workspace_client(loaded)
        found = {version: versions.built(client, model, version) for version in moved.versions}
    weights = versions.weights_sentence(moved, found)
    said += [weights] if weights else []
    return said, versions.comparison(moved, found)


def _for_users(said: list[str], room: int) -> str:
    return f"**For users**\n\n{bullets(said, room)}" if said else "**For users** nothing changes."


def folded_plan(planned: PlanResult, room: int) -> str:
    """The plans of all stacks, folded; without any value that may be a secret."""
    shown = [
        line
        for stack in planned.stacks
        for number, change in enumerate(stack.plan.changes)
        for line in [*([f"# {stack.stack}"] if number == 0 else []), *lines(change)]
    ]
    return folded(f"The plan, by {planned.provider}", shown, room)


def _guards(planned: PlanResult, room: int) -> str:
    if not planned.findings:
        return "**Guards** have nothing to say."
    found = sorted(planned.findings, key=lambda finding: finding.severity != "refuse")
    said = [f"**{finding.severity}**: {plain(str(finding))}" for finding in found]
    return f"**Guards**\n\n{bullets(said, room)}"


def _promise(name: str, planned: PlanResult) -> str:
    planned_for = commit()
    of = f" of commit {code(planned_for[:12])}" if planned_for else ""
    if planned.refused:
        return f"A guard refuses this plan{of}: a merge deploys nothing to {code(name)}."
    return (
        f"Digest of the plan{of}: {code(planned.digest)}. After the merge it is planned again, "
        "and applied only if the digest is the same."
    )


def _counted(changes: int) -> str:
    return counted(changes, "change") if changes else "no changes"
