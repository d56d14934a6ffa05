"""When the workspace's API refuses, the workflows never post an earlier run's words."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from databricks.sdk.errors import DatabricksError, PermissionDenied, TemporarilyUnavailable

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts import connection, gitops
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.gitops.endpoint import Split
from scgpt_databricks.scripts.gitops.github import digest_in
from scgpt_databricks.scripts.gitops.review import _users


@pytest.fixture(autouse=True)
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of GitHub Actions, which a pull request has started."""
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7}}')
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.setenv("GITHUB_TOKEN", "t")


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


@pytest.mark.parametrize(
    ("command", "asked", "posts"),
    [("review", "review", "post_review"), ("drift", "find_drift", "post_drift")],
)
def test_a_failure_that_nobody_expected_is_posted_without_its_values(
    command: str, asked: str, posts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older comment must not stay, nor a value of the plan reach the comment."""
    posted: list[Any] = []

    def fail(*_: object, **__: object) -> None:
        raise ValueError("invalid literal: 'hunter2'")

    def post(found: Any) -> tuple[str, str]:
        posted.append(found)
        return "updated", "the address"

    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(gitops, asked, fail)
    monkeypatch.setattr(gitops, posts, post)
    result = CliRunner().invoke(cli, [command, "dev", "--post"])
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)
    (found,) = posted
    assert "ValueError, which nobody expected: see the log of the job" in found.markdown
    assert "hunter2" not in found.markdown
    assert digest_in(found.markdown) is None


class _Silent:
    """A workspace that the client has given up asking."""

    def __getattr__(self, name: str) -> Any:
        raise TimeoutError("Timed out after 0:05:00")


def test_a_workspace_that_stops_answering_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules["scgpt_databricks.scripts.gitops.summary"],
        "workspace_client",
        lambda _: _Silent(),
    )
    with pytest.raises(DeployError, match="does not answer: Timed out"):
        gitops.summary("dev", folder=layout.ENVIRONMENTS)


def test_a_workspace_that_stops_answering_after_the_plan_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "workspace_client", lambda _: _Silent())
    moved = Split({1: 100}, {2: 100})
    module = sys.modules[
        "scgpt_databricks.scripts.gitops.review"
    ]  # the package has the function of that name
    monkeypatch.setattr(module, "sentences", lambda _: ["versions move"])
    monkeypatch.setattr(module, "split", lambda _: moved)
    planned: Any = SimpleNamespace(stacks=())
    with pytest.raises(DeployError, match="does not answer: Timed out"):
        _users(planned, settings.load("dev", layout.ENVIRONMENTS))
