"""Drift: one issue per environment whose workspace is not as main declares it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scgpt_databricks.infra import settings

from ..connection import answering, workspace_client
from ..deploy import PlanResult
from ..deploy import plan as plan_environment
from ..deploy.verify import Difference, differences
from .github import BODY_LIMIT, ROOM_FOR_THE_END, Repository, drift_marker
from .markdown import bullets, code, table
from .plan_text import shown
from .review import folded_plan, quoted, reason
from .words import sentences

LABEL = "drift"

Posted = Literal["opened", "updated", "unchanged", "closed", "none"]

_NOT_AS_DECLARED = (
    "is not as this repository declares it: somebody changed it by hand, or a deploy was refused "
    "or stopped."
)


@dataclass(frozen=True)
class Drift:
    """The differences of an environment's workspace from what is declared."""

    environment: str
    changes: int
    """Changes that a plan holds."""
    differences: tuple[Difference, ...]
    """Differences by the API; a plan does not see all of them."""
    markdown: str
    comparable: bool = True
    """False where the workspace could not be compared."""

    @property
    def found(self) -> bool:
        """True where there is something to put right; a failed comparison is."""
        return bool(self.changes or self.differences or not self.comparable)

    @property
    def title(self) -> str:
        """The title of the issue."""
        what = "is not as declared" if self.comparable else "cannot be compared"
        return f"Drift: {self.environment} {what}"


def find_drift(
    name: str, *, folder: Path | None = None, report: Callable[[str], None] = lambda _: None
) -> Drift:
    """Plan an environment and verify it field by field; nothing is changed or posted.

    Raises
    ------
    InfraError
        When settings or manifest are wrong, or Terraform fails.
    """
    planned = plan_environment(name, folder=folder, report=report)
    loaded = settings.load(name, folder).deployed_by(planned.facts.deployer)
    with answering(loaded):
        found = tuple(differences(workspace_client(loaded), loaded, loaded.released()))
    report(f"{name}: {len(found)} differences by API")
    return Drift(name, planned.changes, found, _markdown(name, planned, found))


def incomparable(name: str, error: Exception) -> Drift:
    """Return the drift of an environment that cannot be planned or asked, with the reason."""
    parts = [
        drift_marker(name),
        f"The workspace of {code(name)} cannot be planned or asked, so nobody knows what differs.",
        quoted(reason(error)),
        "This issue is closed when it can be, and nothing differs.",
    ]
    text = "\n\n".join(parts)
    return Drift(name, 0, (), text + "\n", comparable=False)


def post_drift(drift: Drift) -> tuple[Posted, str | None]:
    """Open, update or close the environment's issue; returns what was done, and its address.

    Raises
    ------
    GitHubError
        When GitHub refuses.
    """
    repository, marker = Repository.of_this_job(), drift_marker(drift.environment)
    issue = repository.open_issue(LABEL, marker)
    if not drift.found:
        if issue is None:
            return "none", None
        commit = code(os.environ.get("GITHUB_SHA", "main")[:12])
        repository.comment(issue["number"], f"The workspace is as {commit} declares it again.")
        repository.edit_issue(issue["number"], state="closed", state_reason="completed")
        return "closed", issue["html_url"]
    if issue is None:
        issue = repository.create_issue(drift.title, drift.markdown, LABEL)
        return "opened", issue["html_url"]
    if issue["body"] == drift.markdown:
        return "unchanged", issue["html_url"]
    repository.edit_issue(issue["number"], title=drift.title, body=drift.markdown)
    return "updated", issue["html_url"]


def _markdown(name: str, planned: PlanResult, found: tuple[Difference, ...]) -> str:
    if not planned.changes and not found:
        return f"The workspace of {code(name)} is as declared.\n"
    # The table, the sentences and the plan each get a part of what a body holds.
    room = BODY_LIMIT // 3
    parts = [
        drift_marker(name),
        f"The workspace of {code(name)} {_NOT_AS_DECLARED}",
    ]
    if found:
        head = ["resource", "field", "declared", "found"]
        parts.append(f"**What the workspace says**\n\n{table(head, map(_row, found), room)}")
    if planned.changes:
        said = bullets(sentences(stack.plan for stack in planned.stacks), room)
        parts.append(f"**What a deploy would do**\n\n{said}")
    keep = f"To keep it: declare it in {code(f'{name}.toml')}, in a pull request."
    closed = "This issue is closed when nothing is left."
    parts.append(
        f"**What to do.** To put it back: {_way_back(planned.changes, found)} {keep} {closed}"
    )
    text = "\n\n".join(parts)
    if planned.changes:
        text += "\n\n" + folded_plan(planned, BODY_LIMIT - len(text) - ROOM_FOR_THE_END)
    return text + "\n"


def _way_back(changes: int, found: tuple[Difference, ...]) -> str:
    """Say how it is put back; a pull request does nothing for what no plan shows."""
    merged = (
        "merge a pull request (an empty commit will do); its review shows the plan, and its merge "
        "applies it."
    )
    by_hand = f"the workflow {code('deploy')}, run by hand, sends what no plan shows."
    if not changes:
        return f"no plan shows it; {by_hand}"
    return f"{merged} After that, {by_hand}" if found else merged


def _row(difference: Difference) -> list[str]:
    field = difference.field
    values = [shown(field, value) for value in (difference.declared, difference.found)]
    return [code(text) for text in (difference.resource, field, *values)]
