"""What the workflows post when the workspace's API refuses: never what an earlier run said."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from databricks.sdk.errors import DatabricksError, PermissionDenied, TemporarilyUnavailable

from infra.errors import DeployError
from scripts import gitops
from scripts.cli.main import cli
from scripts.gitops.markers import digest_in

REFUSALS = [DeployError("no login"), PermissionDenied("may not"), TemporarilyUnavailable("busy")]


@pytest.mark.parametrize(
    ("command", "asked", "posts", "answer"),
    [
        ("review", "review", "post_review", "the comment"),
        ("drift", "find_drift", "post_drift", ("updated", "the issue")),
    ],
)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
def test_what_could_not_be_planned_is_posted(
    command: str,
    asked: str,
    posts: str,
    answer: Any,
    refusal: DatabricksError | DeployError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posted: list[Any] = []

    def refuse(*_: object, **__: object) -> None:
        raise refusal

    def post(found: Any) -> Any:
        posted.append(found)
        return answer

    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(gitops, asked, refuse)
    monkeypatch.setattr(gitops, posts, post)
    assert CliRunner().invoke(cli, [command, "dev", "--post"]).exit_code == 1
    (found,) = posted
    assert str(refusal) in found.markdown
    assert digest_in(found.markdown) is None
