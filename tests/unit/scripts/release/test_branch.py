"""A manifest gets onto a branch of its own; the working tree stays as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.errors import DeployError
from scgpt_databricks.scripts.release.branch import Branch, require_repository
from scgpt_databricks.scripts.release.point import point_to, points_to
from scgpt_databricks.scripts.release.review import Review
from scgpt_databricks.scripts.release.steps import run
from tests.unit.infra.manifests import served


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.com", *arguments],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environments in a folder of a repository with a remote, a released version in dev."""
    for name, value in {"NAME": "T", "EMAIL": "t@example.com"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # without gh
    root, below = folder / "repository", folder / "repository" / "infra"
    below.mkdir(parents=True)
    for toml in folder.glob("*.toml"):
        toml.rename(below / toml.name)
    point_to(settings.load("dev", below), [served(1, 100, "champion")])
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "begin")
    git(root, "init", "-q", "--bare", str(folder / "remote.git"))
    git(root, "remote", "add", "origin", str(folder / "remote.git"))
    git(root, "push", "-q", "origin", "main")
    return below


def test_the_manifest_is_committed_and_pushed_and_nothing_else_moves(repository: Path) -> None:
    dev = settings.load("dev", repository)
    current = release.read(dev.manifest_path)
    review = Review(dev, current, 2, "promote", wanted=True)
    wanted = [served(2, 100, "champion")]
    assert not points_to(dev, wanted, review.place)
    point_to(dev, wanted, review.place)
    (repository / "deploy").mkdir()
    review.write("| gates |")
    outcomes = run(review.steps(), report=print)
    assert points_to(dev, wanted, review.place)
    assert release.read(dev.manifest_path) == current
    assert git(repository, "status", "--porcelain") == "?? infra/deploy/"
    assert git(repository, "branch", "--show-current") == "main"
    assert review.branch is not None
    name = review.branch.name
    changed = git(repository, "diff", "--name-only", f"main...origin/{name}")
    assert changed == "infra/dev.release.json"
    assert git(repository, "log", "-1", "--format=%s", name) == "dev: promote to version 2"
    assert f"open a pull request for the branch {name}" in review.next(outcomes)
    again = run(review.steps(), report=print)
    assert [each.state for each in again] == ["done before"]


def test_the_same_change_gets_the_same_branch(repository: Path) -> None:
    dev = settings.load("dev", repository)
    current = release.read(dev.manifest_path)
    names = {Review(dev, current, 2, "promote", wanted=True).branch for _ in range(2)}
    assert len(names) == 1
    later = current.model_copy(update={"served": (served(3, 100, "champion"),)})
    assert Review(dev, later, 2, "promote", wanted=True).branch not in names


def test_without_a_repository_no_branch_is_promised(folder: Path) -> None:
    with pytest.raises(DeployError, match="lies in no git repository"):
        require_repository(folder)


def test_without_a_remote_a_person_is_told_what_to_do(repository: Path) -> None:
    git(repository, "remote", "remove", "origin")
    branch = Branch("promote/x", repository, "title")
    point_to(settings.load("dev", repository), [served(2, 100, "champion")], branch)
    assert list(branch.steps(repository / "body.md")) == []
    assert "git push REMOTE promote/x, then open a pull request" in branch.what_next(Path("b.md"))
