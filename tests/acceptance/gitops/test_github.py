"""The client against a server that behaves as GitHub does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scgpt_databricks.infra.errors import RefusedError
from scgpt_databricks.scripts.cli.main import cli
from scgpt_databricks.scripts.gitops.drift import Drift, post_drift
from scgpt_databricks.scripts.gitops.github import (
    GitHubError,
    Repository,
    drift_marker,
    plan_line,
    plan_marker,
)
from scgpt_databricks.scripts.gitops.merged import reviewed_digest
from scgpt_databricks.scripts.gitops.review import Review, post_review
from tests.acceptance.gitops.conftest import READER, WRITER
from tests.acceptance.gitops.github import BOT, REPOSITORY, GitHub

pytestmark = pytest.mark.acceptance

HEAD, MERGED = "a" * 40, "b" * 40
DIGEST, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def pull(github: GitHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """A job of a pull request."""
    number = github.open_pull(HEAD)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": number, "head": {"sha": HEAD}}}))
    for name, value in {
        "GITHUB_API_URL": github.url,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": MERGED,
        "GITHUB_TOKEN": WRITER,
    }.items():
        monkeypatch.setenv(name, value)
    return number


def shown(environment: str, digest: str | None, text: str = "plan") -> Review:
    body = f"{plan_line(environment, digest)}\n\n{text}\n"
    return Review(environment, body, digest, changes=1, refused=False)


def test_one_comment_per_environment_kept_up_to_date(github: GitHub, pull: int) -> None:
    post_review(shown("dev", DIGEST))
    post_review(shown("prod", DIGEST))
    post_review(shown("dev", OTHER))
    post_review(shown("dev", OTHER))
    bodies = [comment["body"] for comment in github.comments(pull)]
    assert bodies == [shown("dev", OTHER).markdown, shown("prod", DIGEST).markdown]
    assert [write.split()[0] for write in github.writes] == ["POST", "POST", "PATCH"]


def test_the_comment_is_found_behind_many_others(github: GitHub, pull: int) -> None:
    for number in range(230):
        github.say(pull, "alice", f"{number}")
    github.say(pull, BOT, shown("dev", DIGEST).markdown)
    post_review(shown("dev", OTHER))
    assert len(github.comments(pull)) == 231
    github.merge(pull, MERGED)
    assert reviewed_digest("dev") == OTHER


def test_nobody_else_can_say_what_was_reviewed(github: GitHub, pull: int) -> None:
    post_review(shown("dev", DIGEST))
    github.say(pull, "mallory", shown("dev", OTHER).markdown)
    github.merge(pull, MERGED)
    assert reviewed_digest("dev") == DIGEST


def test_of_two_comments_the_one_that_is_kept_up_to_date_counts(github: GitHub, pull: int) -> None:
    """A request that was lost on the way may have posted one more."""
    github.say(pull, BOT, shown("dev", DIGEST).markdown)
    github.say(pull, BOT, shown("dev", DIGEST).markdown)
    post_review(shown("dev", OTHER))
    github.merge(pull, MERGED)
    assert reviewed_digest("dev") == OTHER


def test_a_comment_of_somebody_else_is_never_edited(github: GitHub, pull: int) -> None:
    github.say(pull, "mallory", f"{plan_marker('dev')} mine")
    post_review(shown("dev", DIGEST))
    assert len(github.comments(pull)) == 2


def test_a_commit_without_a_merged_pull_request(github: GitHub, pull: int) -> None:
    post_review(shown("dev", DIGEST))
    with pytest.raises(RefusedError, match="came by no merged pull request"):
        reviewed_digest("dev")


@pytest.mark.parametrize("digest", [None, "missing"])
def test_a_pull_request_without_a_plan(digest: str | None, github: GitHub, pull: int) -> None:
    if digest is None:
        post_review(shown("dev", None, f"digest={OTHER} -->"))
    github.merge(pull, MERGED)
    with pytest.raises(RefusedError, match=f"#{pull} shows no plan that can be applied"):
        reviewed_digest("dev")


def test_a_token_without_permission(
    github: GitHub, pull: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", READER)
    with pytest.raises(GitHubError, match=r"403 Resource not accessible.*Give the job"):
        post_review(shown("dev", DIGEST))
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_unknown")
    with pytest.raises(GitHubError, match="401 Bad credentials") as refused:
        post_review(shown("dev", DIGEST))
    assert "ghs_unknown" not in str(refused.value)


def test_a_hiccup_is_tried_again_but_nothing_is_posted_twice(github: GitHub, pull: int) -> None:
    github.failures = [503, 502]
    post_review(shown("dev", DIGEST))
    assert len(github.comments(pull)) == 1
    repository = Repository.of_this_job()
    github.failures = [502]
    with pytest.raises(GitHubError, match="502"):
        repository.comment(pull, "hello")
    assert len(github.comments(pull)) == 1


def test_outside_of_a_pull_request(
    github: GitHub, pull: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    event = tmp_path / "push.json"
    event.write_text("{}")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    with pytest.raises(GitHubError, match="no pull request started this job"):
        post_review(shown("dev", DIGEST))
    monkeypatch.delenv("GITHUB_REPOSITORY")
    with pytest.raises(GitHubError, match="GITHUB_REPOSITORY is not set"):
        post_review(shown("dev", DIGEST))


def test_the_life_of_an_issue(github: GitHub, pull: int) -> None:
    def drift(text: str, changes: int = 1) -> Drift:
        return Drift("dev", changes, (), f"{drift_marker('dev')}\n\n{text}\n")

    done = [
        post_drift(each)[0]
        for each in (
            drift("", 0), drift("tag gone"), drift("tag gone"), drift("tag and grant gone"),
            drift("", 0), drift("", 0), drift("tag gone"),
        )
    ]  # fmt: skip
    assert done == ["none", "opened", "unchanged", "updated", "closed", "none", "opened"]
    first, second = github.issues.values()
    assert (first["state"], second["state"]) == ("closed", "open")
    assert first["title"] == "Drift: dev is not as declared"
    assert [label["name"] for label in first["labels"]] == ["drift"]
    assert "as `bbbbbbbbbbbb` declares it again" in github.comments(first["number"])[0]["body"]


def test_what_cannot_be_planned_is_an_issue_too(
    github: GitHub, pull: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks at a job that fails every night."""
    monkeypatch.delenv("GITHUB_EVENT_PATH")
    (tmp_path / "dev.toml").write_text("catalog = 7\n")
    command = ["drift", "dev", "--environments", str(tmp_path), "--post"]
    assert CliRunner().invoke(cli, command).exit_code == 2
    (issue,) = github.issues.values()
    assert issue["title"] == "Drift: dev cannot be compared"
    assert "catalog" in issue["body"]
    assert post_drift(Drift("dev", 1, (), f"{drift_marker('dev')}\n\nnow it can\n"))[0] == "updated"
    assert issue["title"] == "Drift: dev is not as declared"
    assert post_drift(Drift("dev", 0, (), ""))[0] == "closed"
